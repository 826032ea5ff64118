package report

import (
	"fmt"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"propensity/models/evaluate"
)

// Each ink comes out as the variable of its name, in fills, strokes and letters,
// and nothing else of the page's is touched.
func TestThemed(t *testing.T) {
	for k, name := range []string{"text", "muted", "grid", "panel", "s1", "s2", "s3", "s4", "s5", "s6"} {
		c := vgsvg.New(50, 50)
		canvas := draw.New(c)
		corners := []vg.Point{{X: 1, Y: 1}, {X: 9, Y: 1}, {X: 9, Y: 9}}
		canvas.FillPolygon(ink(k).mark(), corners)
		canvas.StrokeLines(draw.LineStyle{Color: ink(k).mark(), Width: 2}, corners)
		canvas.FillText(letter(9, ink(k), 0), vg.Point{X: 3, Y: 3}, `style="fill:#FF28FF" <b>&`)
		svg, err := themed(c, 50, 50, `a "label" <b>`)
		if err != nil {
			t.Fatal(err)
		}
		s := string(svg)
		if strings.Count(s, "var(--"+name+")") != 3 || strings.Count(s, "var(") != 3 {
			t.Errorf("%s:\n%s", name, s)
		}
		for _, want := range []string{"fill:var(--" + name + ")", "stroke:var(--" + name + ")", `style=&#34;fill:#FF28FF&#34; &lt;b&gt;&amp;`, `aria-label="a &#34;label&#34; &lt;b&gt;"`} {
			if !strings.Contains(s, want) {
				t.Errorf("%s: no %q in\n%s", name, want, s)
			}
		}
		for _, gone := range []string{"font-family", "xmlns", "<?xml", "<!--"} {
			if strings.Contains(s, gone) {
				t.Errorf("%s: %q in\n%s", name, gone, s)
			}
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		share     bool
		want      string
	}{
		{0, 1, true, "0 20 40 60 80 100"},
		{0.742, 0.88, false, "0.76 0.78 0.80 0.82 0.84 0.86 0.88"},
		{-1.3, 1.3, false, "-1.0 -0.5 0.0 0.5 1.0"},
		{0, 39, false, "0 5 10 15 20 25 30 35"},
		{0.033, 0.062, true, "3.5 4.0 4.5 5.0 5.5 6.0"},
	} {
		var labels []string
		for _, tick := range (numbers{c.share}).Ticks(c.low, c.high) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("%v to %v: %s", c.low, c.high, got)
		}
	}
}

// Of many windows some are named, and the newest always.
func TestNamesAreThinned(t *testing.T) {
	var names []string
	for i := range 23 {
		names = append(names, fmt.Sprint(i))
	}
	ticks := named(axis{names: names, sparse: true})
	if len(ticks) > maxNames || ticks[len(ticks)-1].Label != "22" {
		t.Error(ticks)
	}
}

// A chart that its numbers would burst is left out; its table stays.
func TestTooWideForAChart(t *testing.T) {
	svg, err := dots(whole, axis{label: "x"}, "", []string{"a", "b"}, []evaluate.Interval{point(0), point(1e300)}, true)
	if svg != "" || err != nil {
		t.Error(svg, err)
	}
	svg, err = dots(whole, axis{label: "x"}, "", []string{"a"}, []evaluate.Interval{point(7)}, true)
	if svg == "" || err != nil {
		t.Errorf("one value: %v", err)
	}
	_, e, _ := rich()
	e.Learnt.Shapes[2].Points[3].X = 1e300
	if f, err := shapeFigure(&e.Learnt.Shapes[2]); err != nil || f.Chart != "" || f.Folded || len(f.Table.Rows) != 9 {
		t.Errorf("%+v, %v", f, err)
	}
}
