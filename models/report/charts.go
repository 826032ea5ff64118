package report

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"propensity/models/evaluate"
	"propensity/models/report/markup"
)

// ink is a colour by its part in a chart. The page decides what it looks like, in
// light and in dark: a chart is drawn with a mark in place of the colour, which
// themed replaces by a variable of the page's style sheet.
type ink int

const (
	text1 ink = iota // what is read
	text2            // axes
	grid
	panel // behind boxes
	series1
	series2
	series3
	series4
	series5
	series6
)

const markStep = 20

func (k ink) mark() color.Color {
	return color.NRGBA{R: 255, G: uint8(markStep * (int(k) + 1)), B: 255, A: 255}
}

func variable(k int) string {
	names := [...]string{"text", "muted", "grid", "panel", "s1", "s2", "s3", "s4", "s5", "s6"}
	return "var(--" + names[min(max(k, 0), len(names)-1)] + ")"
}

var (
	styleText = regexp.MustCompile(`style="[^"]*"`)
	markText  = regexp.MustCompile(`#F[EF]([0-9A-F]{2})F[EF]`)
	fontText  = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*;`)
	svgHead   = regexp.MustCompile(`(?s)^.*?<svg [^>]*>`)
)

// themed is a drawing as part of a page: it scales with its column, its
// colours are the page's and its letters the reader's. Text of the data is never
// touched: its quotes are escaped, so that it holds no style attribute.
func themed(c *vgsvg.Canvas, width, height vg.Length, label string) (markup.HTML, error) {
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", err
	}
	head := fmt.Sprintf(`<svg viewBox="0 0 %.0f %.0f" style="max-width:%.0fpx" role="img" aria-label="%s">`,
		width.Points(), height.Points(), pixels*width.Points(), html.EscapeString(label))
	s := head + svgHead.ReplaceAllString(b.String(), "")
	s = styleText.ReplaceAllStringFunc(s, func(style string) string {
		style = fontText.ReplaceAllString(style, "")
		return markText.ReplaceAllStringFunc(style, func(mark string) string {
			g, _ := strconv.ParseUint(mark[3:5], 16, 8) //nolint:errcheck // two hexadecimal digits, says the pattern
			return variable((int(g)+1)/markStep - 1)    // the canvas may round down by one
		})
	})
	s = strings.ReplaceAll(s, "\n\tstyle=", " style=")
	return markup.HTML(s), nil // made by vgsvg, which escapes the text it draws
}

// Sizes in points.
const (
	letters = 10.5
	pixels  = 1.4 // of the page, at most, to a point
	// whole and half are the widths of charts that stand alone and in pairs.
	whole = vg.Length(420)
	half  = vg.Length(330)
)

func fontOf(size float64) font.Font {
	return font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Length(size))
}

// axis is what a chart needs to know of one of its axes.
type axis struct {
	label string
	share bool // of 0 to 1, told in percent
	// low and high are always in sight; with both 0 the data alone decide.
	low, high float64
	names     []string // in place of numbers: the value i is names[i]
	sparse    bool     // names that do not all fit are thinned
}

// newChart is an empty plot in the page's style.
func newChart(x, y axis) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, a := range []struct {
		to *plot.Axis
		of axis
	}{{&p.X, x}, {&p.Y, y}} {
		a.to.Label.Text = a.of.label
		a.to.Label.TextStyle.Font, a.to.Tick.Label.Font = fontOf(letters), fontOf(letters)
		a.to.Label.TextStyle.Color, a.to.Tick.Label.Color = text2.mark(), text1.mark()
		a.to.LineStyle.Color, a.to.Tick.LineStyle.Color = text2.mark(), text2.mark()
		a.to.Label.Padding = 3
		a.to.Tick.Length = 4
		a.to.Padding = 4
		if a.of.low != 0 || a.of.high != 0 {
			a.to.Min, a.to.Max = a.of.low, a.of.high
		}
		if a.of.names != nil {
			a.to.Tick.Marker = named(a.of)
			a.to.Tick.Length = 0
		} else {
			a.to.Tick.Marker = numbers{a.of.share}
		}
	}
	g := plotter.NewGrid()
	g.Vertical.Color, g.Horizontal.Color = grid.mark(), grid.mark()
	g.Vertical.Width, g.Horizontal.Width = 0.5, 0.5
	if x.names != nil {
		g.Vertical.Width = 0
	}
	p.Add(g)
	return p
}

// numbers are ticks at 1, 2 or 5 times a power of ten, four to eight of them, all
// with as many digits; shares in percent.
type numbers struct{ share bool }

// Ticks is for plot.Ticker.
func (n numbers) Ticks(low, high float64) []plot.Tick {
	unit := 1.0
	if n.share {
		unit = 100
	}
	low, high = low*unit, high*unit
	power := math.Floor(math.Log10((high - low) / 4))
	step := math.Pow(10, power)
	for _, k := range []float64{5, 2} {
		if (high-low)/(k*step) >= 4 {
			step *= k
			break
		}
	}
	var ticks []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9 && len(ticks) < 12; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step / unit, Label: decimal(i*step, int(max(0, -power)))})
	}
	return ticks
}

// maxNames is how many names a horizontal axis has room for.
const maxNames = 5

func named(a axis) plot.ConstantTicks {
	every := 1
	if a.sparse {
		every = (len(a.names) + maxNames - 1) / maxNames
	}
	var ticks []plot.Tick
	for i, name := range a.names {
		if (len(a.names)-1-i)%every == 0 { // the newest is always named
			ticks = append(ticks, plot.Tick{Value: float64(i), Label: name})
		}
	}
	return ticks
}

// drawable says that a chart has room for all of the numbers.
func drawable(all ...float64) bool {
	return !slices.ContainsFunc(all, func(v float64) bool { return !(math.Abs(v) < 1e12) })
}

func drawableIntervals(all []evaluate.Interval) bool {
	return !slices.ContainsFunc(all, func(i evaluate.Interval) bool { return !drawable(i.Low, i.Value, i.High) })
}

// drawn is the plot as a picture. Axes of numbers reach a little farther than their data, so that no glyph is cut.
func drawn(p *plot.Plot, width, height vg.Length, label string) (markup.HTML, error) {
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		if least := 1e-6 * max(1, math.Abs(a.Min)); a.Max-a.Min < least {
			a.Min, a.Max = a.Min-least, a.Max+least
		}
		n, ok := a.Tick.Marker.(numbers)
		if !ok {
			continue
		}
		reach := 0.03 * (a.Max - a.Min)
		low, high := a.Min-reach, a.Max+reach
		if a.Min >= 0 {
			low = max(low, 0)
		}
		if n.share && a.Max <= 1 {
			high = min(high, 1)
		}
		a.Min, a.Max = low, high
	}
	c := vgsvg.New(width, height)
	// The last letter of an axis would reach over the edge.
	p.Draw(draw.Crop(draw.New(c), 2, -10, 2, -6))
	return themed(c, width, height, label)
}

// series is one line of points, of one name and one colour.
type series struct {
	name   string
	x      []float64
	y      []evaluate.Interval
	ends   bool // with the ends of the intervals
	ink    ink
	plain  bool // a line without glyphs
	dashed bool
	still  bool // points without a line
}

func (s *series) add(x float64, y evaluate.Interval) {
	s.x, s.y = append(s.x, x), append(s.y, y)
}

func point(v float64) evaluate.Interval { return evaluate.Interval{Value: v, Low: v, High: v} }

// Len, XY and YError are for the plotters of gonum.
func (s *series) Len() int                { return len(s.x) }
func (s *series) XY(i int) (x, y float64) { return s.x[i], s.y[i].Value }
func (s *series) YError(i int) (down, up float64) {
	return s.y[i].Low - s.y[i].Value, s.y[i].High - s.y[i].Value
}

// glyph tells series apart for those who do not see their colours.
func (k ink) glyph() draw.GlyphDrawer {
	return [...]draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}}[max(0, int(k-series1))%6]
}

func (k ink) sign() string {
	return [...]string{"●", "■", "▲", "○", "□", "△"}[max(0, int(k-series1))%6]
}

func (k ink) dashes() []vg.Length {
	return [...][]vg.Length{nil, {6, 3}, {2, 2}, {8, 2, 2, 2}, {4, 4}, {1, 3}}[max(0, int(k-series1))%6]
}

func (s *series) addTo(p *plot.Plot) error {
	if len(s.x) == 0 {
		return nil
	}
	line, dots, err := plotter.NewLinePoints(s)
	if err != nil {
		return err
	}
	line.Color, line.Width, line.Dashes = s.ink.mark(), 1.5, s.ink.dashes()
	if s.dashed {
		line.Width, line.Dashes = 1, []vg.Length{3, 3}
	}
	dots.GlyphStyle = draw.GlyphStyle{Color: s.ink.mark(), Radius: 3, Shape: s.ink.glyph()}
	if s.ends {
		bars, err := plotter.NewYErrorBars(s)
		if err != nil {
			return err
		}
		bars.Color, bars.Width, bars.CapWidth = s.ink.mark(), 1, 5
		p.Add(bars)
	}
	if !s.still {
		p.Add(line)
	}
	if !s.plain {
		p.Add(dots)
	}
	return nil
}

// lines draws several series; "" if their numbers are more than can be drawn.
func lines(width vg.Length, x, y axis, label string, all ...*series) (markup.HTML, error) {
	for _, s := range all {
		if !drawable(s.x...) || !drawableIntervals(s.y) {
			return "", nil
		}
	}
	p := newChart(x, y)
	for _, s := range all {
		if err := s.addTo(p); err != nil {
			return "", err
		}
	}
	return drawn(p, width, 100+width/3, label)
}

// level is a vertical line of a chart of dots, such as the base rate.
type level struct {
	at  float64
	ink ink
}

// dots draws one value a line, the first on top, each with its name; with its
// interval if ends says so. It is "" if the numbers are more than can be drawn.
func dots(width vg.Length, x axis, label string, names []string, values []evaluate.Interval, ends bool, levels ...level) (markup.HTML, error) {
	n := len(names)
	if !drawableIntervals(values) || slices.ContainsFunc(levels, func(l level) bool { return !drawable(l.at) }) {
		return "", nil
	}
	if x.low == 0 && x.high == 0 {
		x.low, x.high = math.Inf(1), math.Inf(-1)
	}
	y := axis{names: make([]string, n), low: -0.5, high: float64(n) - 0.5}
	s := &flat{}
	for i, v := range values {
		y.names[n-1-i] = short(names[i], int(width)/16)
		s.y, s.x = append(s.y, float64(n-1-i)), append(s.x, v)
		x.low, x.high = min(x.low, v.Low), max(x.high, v.High)
	}
	p := newChart(x, y)
	p.Y.LineStyle.Width = 0
	for _, l := range levels {
		at := &series{x: []float64{l.at, l.at}, y: []evaluate.Interval{point(-0.5), point(float64(n) - 0.5)}, ink: l.ink, dashed: true, plain: true}
		if err := at.addTo(p); err != nil {
			return "", err
		}
	}
	if ends {
		bars, err := plotter.NewXErrorBars(s)
		if err != nil {
			return "", err
		}
		bars.Color, bars.Width, bars.CapWidth = series1.mark(), 1.2, 5
		p.Add(bars)
	}
	scatter, err := plotter.NewScatter(s)
	if err != nil {
		return "", err
	}
	scatter.GlyphStyle = draw.GlyphStyle{Color: series1.mark(), Radius: 3.5, Shape: draw.CircleGlyph{}}
	p.Add(scatter)
	return drawn(p, width, vg.Length(52+19*n), label)
}

// flat is a series that lies on its side.
type flat struct {
	x []evaluate.Interval
	y []float64
}

// Len, XY and XError are for the plotters of gonum.
func (s *flat) Len() int                { return len(s.x) }
func (s *flat) XY(i int) (x, y float64) { return s.x[i].Value, s.y[i] }
func (s *flat) XError(i int) (down, up float64) {
	return s.x[i].Low - s.x[i].Value, s.x[i].High - s.x[i].Value
}

// letter is the style of text drawn by hand.
func letter(size float64, k ink, x text.XAlignment) text.Style {
	return text.Style{Color: k.mark(), Font: fontOf(size), XAlign: x, YAlign: text.YCenter, Handler: plot.DefaultTextHandler}
}
