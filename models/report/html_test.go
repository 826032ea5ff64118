package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"propensity/models"
	"propensity/models/evaluate"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", name, got)
	}
}

func rendered(t testing.TB, m *models.Manifest, e *models.Metrics, c models.Calibration) string {
	t.Helper()
	b, err := HTML(m, e, c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// thin is what a first training leaves: little more than bands and one candidate.
func thin() (*models.Manifest, *models.Metrics, models.Calibration) {
	m, e, _ := rich()
	m.Bands, m.Notes, m.LeftOut = m.Bands[3:], nil, nil
	r := e.Candidates[0].Report
	r.Deciles, r.Calibration, r.Value = nil, r.Calibration[:3], nil
	e = &models.Metrics{Candidates: []models.Candidate{{Learner: "logistic", Report: r}}, Chosen: "logistic"}
	return m, e, models.Calibration{Kind: models.CalibrationNone}
}

func TestGolden(t *testing.T) {
	m, e, c := thin()
	golden(t, "thin.html", []byte(rendered(t, m, e, c)))
	m, e, c = rich()
	golden(t, "card.md", Card(m, e, c))
}

// Every kind of evidence has its section, and without it there is none.
func TestSections(t *testing.T) {
	ids := func(p string) (out []string) {
		for _, found := range regexp.MustCompile(`<section id="([^"]*)">`).FindAllStringSubmatch(p, -1) {
			out = append(out, found[1])
		}
		return out
	}
	all := []string{"calibration", "gains", "bands", "capacity", "backtest", "shift", "drivers", "effects", "shapes", "pairs", "segments", "left-out",
		"candidates", "gate", "coefficients", "scorecard", "surrogate", "made", "caveats"}
	if got := ids(rendered(t, held(rich()).m, held(rich()).e, held(rich()).c)); !slices.Equal(got, all) {
		t.Errorf("%v", got)
	}
	for without, drop := range map[string]func(*models.Manifest, *models.Metrics){
		"calibration":  func(_ *models.Manifest, e *models.Metrics) { e.Candidates[2].Report.Calibration = nil },
		"gains":        func(_ *models.Manifest, e *models.Metrics) { e.Candidates[2].Report.Deciles = nil },
		"bands":        func(m *models.Manifest, _ *models.Metrics) { m.Bands = nil },
		"capacity":     func(_ *models.Manifest, e *models.Metrics) { e.Capacity = nil },
		"backtest":     func(_ *models.Manifest, e *models.Metrics) { e.Backtest = nil },
		"shift":        func(_ *models.Manifest, e *models.Metrics) { e.Shift = nil },
		"drivers":      func(_ *models.Manifest, e *models.Metrics) { e.Learnt.Drivers = nil },
		"effects":      func(_ *models.Manifest, e *models.Metrics) { e.Learnt.Tested = 0 },
		"shapes":       func(_ *models.Manifest, e *models.Metrics) { e.Learnt.Shapes = nil },
		"pairs":        func(_ *models.Manifest, e *models.Metrics) { e.Learnt.Pairs = nil },
		"segments":     func(_ *models.Manifest, e *models.Metrics) { e.Segments = nil },
		"left-out":     func(m *models.Manifest, e *models.Metrics) { e.Leaks, m.LeftOut = nil, nil },
		"gate":         func(_ *models.Manifest, e *models.Metrics) { e.Gate = models.Gate{} },
		"coefficients": func(_ *models.Manifest, e *models.Metrics) { e.Coefficients = nil },
		"scorecard":    func(_ *models.Manifest, e *models.Metrics) { e.Scorecard = nil },
		"surrogate":    func(_ *models.Manifest, e *models.Metrics) { e.Surrogate = nil },
	} {
		m, e, c := rich()
		drop(m, e)
		if got, want := ids(rendered(t, m, e, c)), slices.DeleteFunc(slices.Clone(all), func(id string) bool { return id == without }); !slices.Equal(got, want) {
			t.Errorf("without %s: %v", without, got)
		}
	}
	if got := ids(rendered(t, &models.Manifest{Name: "m"}, &models.Metrics{}, models.Calibration{})); !slices.Equal(got, []string{"made", "caveats"}) {
		t.Errorf("of nothing: %v", got)
	}
}

// evidence is what rich gives, in one value.
type evidence struct {
	m *models.Manifest
	e *models.Metrics
	c models.Calibration
}

func held(m *models.Manifest, e *models.Metrics, c models.Calibration) evidence {
	return evidence{m, e, c}
}

// element is a tag of a page with its attributes.
type element struct {
	name  string
	attrs []xml.Attr
}

// elements reads a page as a browser's parser would meet it: tags must match.
func elements(t testing.TB, p string) (all []element, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(p))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var words strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all, words.String()
		}
		if err != nil {
			t.Fatalf("the page cannot be read: %v", err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			all = append(all, element{x.Name.Local, x.Attr})
		case xml.CharData:
			words.Write(x)
		}
	}
}

// checkPage holds what every page must keep, whatever the data: no script, nothing
// loaded, no markup but the page's own.
func checkPage(t testing.TB, p string) {
	t.Helper()
	known := strings.Fields("html head meta title style body header h1 h2 h3 p div b ul li nav a main section figure figcaption span details summary table thead tbody tr th td svg g path text")
	all, _ := elements(t, p)
	for _, e := range all {
		if !slices.Contains(known, e.name) {
			t.Errorf("an element %q", e.name)
		}
		for _, a := range e.attrs {
			switch name := a.Name.Local; {
			case strings.HasPrefix(name, "on"), name == "src", name == "xlink:href", name == "href" && !strings.HasPrefix(a.Value, "#"):
				t.Errorf("<%s %s=%q>", e.name, name, a.Value)
			case name == "style" && strings.Contains(a.Value, "#"):
				t.Errorf("a colour that is not the page's: %q", a.Value)
			}
		}
	}
	for _, outside := range []string{"http:", "https:", "<script", "<link", "url(", "@import", "%!", "NaN", "Inf", "ZgotmplZ"} {
		if strings.Contains(p, outside) {
			t.Errorf("the page holds %q", outside)
		}
	}
}

func TestPageIsAlone(t *testing.T) {
	for _, x := range []evidence{held(rich()), held(thin())} {
		p := rendered(t, x.m, x.e, x.c)
		checkPage(t, p)
		if len(p) > 400<<10 {
			t.Errorf("%d bytes", len(p))
		}
	}
}

// Names and levels come from anybody's table.
func TestHostileNames(t *testing.T) {
	tame := held(rich())
	plain, _ := elements(t, rendered(t, tame.m, tame.e, tame.c))
	for _, name := range []string{`<script>alert(1)</script>`, `" onload="alert(1)`, `</style><b>`, `style="fill:#FF28FF"`, "a\nb\x01\x00c", "`|*[x](javascript:1)", "会社の種類", "🙂👩‍👩‍👧", "مرحبا", strings.Repeat("long", 400), "{{.Name}}", "-->", "]]>"} {
		m, e, c := rich()
		m.Name, m.Learner, m.Label.Column, m.Label.Positive, m.Notes[0], m.LeftOut[1].Column, m.Bands[0].Name = name, name, name, name, name, name, name
		e.Learnt.Drivers[0].Question, e.Learnt.Effects[0].Level, e.Learnt.Shapes[0].Feature, e.Learnt.Shapes[1].Points[0].Level = name, name, name, name
		e.Segments[1].Value, e.Leaks[0].Column, e.Leaks[0].Evidence[0].Detail, e.Surrogate.Nodes[0].Text = name, name, name, name
		e.Candidates[0].Learner, e.Backtest.Windows[0].Scores[0].Learner, e.Backtest.Windows[0].From, e.Gate.Checks[0].Detail = name, name, name, name
		e.Scorecard.Rows[0].Bin, e.Coefficients[1].Feature, e.Rule.Text, m.Data.Fingerprint, m.Split.TrainedUntil = name, name, name, name, name
		p := rendered(t, m, e, c)
		clean := strings.Map(func(r rune) rune { // XML has no such characters; HTML reads over them
			if r < ' ' && r != '\n' && r != '\t' {
				return -1
			}
			return r
		}, p)
		all, text := elements(t, clean)
		names := func(of []element) map[string]bool {
			set := map[string]bool{}
			for _, e := range of {
				set[e.name] = true
				for _, a := range e.attrs {
					set[e.name+" "+a.Name.Local] = true
				}
			}
			return set
		}
		for found := range names(all) {
			if !names(plain)[found] {
				t.Errorf("%q: the page has a <%s>", name, found)
			}
		}
		if want := strings.Map(func(r rune) rune {
			if r < ' ' && r != '\n' {
				return -1
			}
			return r
		}, name); !strings.Contains(strings.ReplaceAll(text, "\uFFFD", ""), want) {
			t.Errorf("%q is not told as it is", name)
		}
		card := string(Card(m, e, c))
		if regexp.MustCompile(`(^|[^&\\x60])<script`).MatchString(regexp.MustCompile("(?s)```.*?```|^---.*?\n---").ReplaceAllString(card, "")) {
			t.Errorf("%q: the card holds a script:\n%s", name, card)
		}
	}
}

// Numbers from a damaged or strange artifact: an error or a page, never a panic
// and never "NaN".
func TestAnyNumbers(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m, e, c := rich()
		e.Backtest.Windows, e.Capacity, e.Coefficients, e.Learnt.Shapes[0].Points = e.Backtest.Windows[:3], nil, nil, e.Learnt.Shapes[0].Points[:8]
		any := rapid.OneOf(rapid.Float64Range(-2, 2), rapid.Float64(), rapid.SampledFrom([]float64{0, 1, 1e-300, 1e300, -1e18, math.MaxFloat64}))
		interval := func() evaluate.Interval {
			return evaluate.Interval{Value: any.Draw(r, "value"), Low: any.Draw(r, "low"), High: any.Draw(r, "high")}
		}
		e.Candidates[2].Report.Calibration[3] = evaluate.Bin{Probability: any.Draw(r, "p"), Observed: interval(), Rows: -1}
		e.Candidates[2].Report.Deciles[4].Lift, e.Candidates[2].Report.LogLoss, e.Candidates[2].Report.ROCAUC = any.Draw(r, "lift"), interval(), interval()
		m.Bands[1].Rate, e.Learnt.Drivers[0].SHAP, e.Learnt.Effects[0].LogOdds = interval(), interval(), interval()
		e.Learnt.Shapes[0].Points[5].X, e.Learnt.Shapes[1].Points[5].Probability = any.Draw(r, "x"), any.Draw(r, "probability")
		e.Backtest.Windows[2].BaseRate, e.Backtest.Windows[2].Scores[0].ROCAUC = interval(), interval()
		e.Surrogate.Nodes[3].Probability, e.Surrogate.Nodes[3].Share = any.Draw(r, "leaf"), any.Draw(r, "share")
		b, err := HTML(m, e, c)
		if err != nil {
			r.Fatal(err)
		}
		if bytes.Contains(b, []byte("NaN")) || bytes.Contains(b, []byte("Inf")) || bytes.Contains(b, []byte("%!")) {
			r.Fatal("a number that is none")
		}
		Card(m, e, c)
	})
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		m, e, c := rich()
		e.Learnt.Drivers[3].SHAP.High = bad
		if _, err := HTML(m, e, c); err == nil || !strings.Contains(err.Error(), m.Name) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestSameBytes(t *testing.T) {
	m, e, c := rich()
	want := rendered(t, m, e, c)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			m, e, c := rich()
			b, err := HTML(m, e, c)
			if err != nil || string(b) != want {
				t.Errorf("another page of the same evidence (%v)", err)
			}
		})
	}
	all.Wait()
	if !bytes.Equal(Card(m, e, c), Card(held(rich()).m, held(rich()).e, c)) {
		t.Error("another card of the same evidence")
	}
}

func TestJSON(t *testing.T) {
	m, e, c := rich()
	b, err := JSON(m, e, c)
	if err != nil {
		t.Fatal(err)
	}
	var back Document
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&back); err != nil {
		t.Fatal(err)
	}
	again, err := JSON(back.Manifest, back.Metrics, back.Calibration)
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("%v: other bytes come back", err)
	}
	if v := verdict(m, e); back.Verdict.Headline != v.Headline || !slices.Equal(back.Verdict.Care, v.Care) {
		t.Errorf("%+v", back.Verdict)
	}
}

// The numbers of a chart stand in its words and in its table too.
func TestChartsAreTold(t *testing.T) {
	m, e, c := rich()
	p := rendered(t, m, e, c)
	charts := regexp.MustCompile(`<svg [^>]*role="img" aria-label="([^"]+)"`).FindAllStringSubmatch(p, -1)
	if len(charts) != 15 || strings.Count(p, "<svg ") != len(charts) {
		t.Errorf("%d charts with a label of %d", len(charts), strings.Count(p, "<svg "))
	}
	for _, chart := range charts {
		if !regexp.MustCompile(`\d`).MatchString(chart[1]) {
			t.Errorf("a chart without its numbers in words: %s", chart[1])
		}
	}
	for _, told := range []string{
		"Of band A 31 % (26 to 36 %) had the outcome, of band E 0.20 % (0 to 1.3 %).",
		"The top 10 % hold 48 % of all positives, the top 30 % hold 89 %.",
		"Lowest 1.3 % at 0, highest 17 % at 39. Where it is missing: 2.1 %.",
		"A team that works the top 40 of 700 accounts meets 37 % (29 to 45 %) with the outcome, and reaches 41 % of all positives.",
		"No proof that these are worth asking: country, referrer and browser.",
		"600 points are odds of 50 to 1 against the outcome; each 20 points more double them.",
		"learnt from; cleared by the spec: counted before the moment, checked by billing",
	} {
		if !strings.Contains(strings.ReplaceAll(p, "\u00a0", " "), told) {
			t.Errorf("not told: %s", told)
		}
	}
}

// Colours of text and lines keep the contrast that WCAG 2.2 asks for (1.4.3 and
// 1.4.11): 4.5 to 1 for text, also in the colours of a legend, 3 to 1 for axes.
func TestContrast(t *testing.T) {
	schemes := regexp.MustCompile(`:root\{([^}]*--bg:[^}]*)\}`).FindAllStringSubmatch(style, -1)
	if len(schemes) != 2 {
		t.Fatalf("%d schemes", len(schemes))
	}
	for _, scheme := range schemes {
		colour := map[string]float64{}
		for _, v := range regexp.MustCompile(`--(\w+):#([0-9a-f]+)`).FindAllStringSubmatch(scheme[1], -1) {
			hex := v[2]
			if len(hex) == 3 {
				hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
			}
			for k, weight := range []float64{0.2126, 0.7152, 0.0722} {
				n, err := strconv.ParseUint(hex[2*k:2*k+2], 16, 8)
				if err != nil {
					t.Fatal(err)
				}
				x := float64(n) / 255
				if x <= 0.04045 {
					x /= 12.92
				} else {
					x = math.Pow((x+0.055)/1.055, 2.4)
				}
				colour[v[1]] += weight * x
			}
		}
		for _, name := range []string{"text", "muted", "s1", "s2", "s3", "s4", "s5", "s6", "good", "bad"} {
			for _, on := range []string{"bg", "panel"} {
				a, b := colour[name], colour[on]
				if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 && !(on == "panel" && ratio >= 3) {
					t.Errorf("%s on %s: %.1f to 1 in %s", name, on, ratio, scheme[1])
				}
			}
		}
		if a, b := colour["bad"], colour["badbg"]; (max(a, b)+0.05)/(min(a, b)+0.05) < 4.5 {
			t.Error("bad on badbg")
		}
	}
}
