package models_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/models/tree"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	day    = int64(24 * 60 * 60 * 1e6)
	moment = 1_767_225_600_000_000 // 2026-01-01 UTC
	rows   = 60
)

// history has a column of every kind; its rows are as of moment.
func history() (*datasets.Table, []int64) {
	plan := datasets.Column{Name: "plan", Kind: datasets.Category, Values: []string{"pro", "free", "", "team"}}
	tier := datasets.Column{Name: "tier", Kind: datasets.Category, Values: []string{"1", "2.5"}}
	logins := datasets.Column{Name: "logins_28d", Kind: datasets.Number}
	seats := datasets.Column{Name: "paid_seats", Kind: datasets.Number}
	sso := datasets.Column{Name: "sso", Kind: datasets.Boolean}
	created := datasets.Column{Name: "created_at", Kind: datasets.Time}
	moments := make([]int64, rows)
	for i := range rows {
		plan.Codes = append(plan.Codes, int32(i*7%19%4))
		tier.Codes = append(tier.Codes, int32(i/5%2))
		logins.Numbers = append(logins.Numbers, float64(i*i%53))
		seats.Numbers = append(seats.Numbers, float64(1+i%40)/4)
		if i%10 == 9 {
			seats.Numbers[i] = math.NaN()
		}
		sso.Numbers = append(sso.Numbers, float64(i%4/3))
		created.Times = append(created.Times, moment-int64(10+i)*day)
		moments[i] = moment
	}
	return &datasets.Table{Columns: []datasets.Column{plan, logins, seats, sso, created, tier}}, moments
}

func encoder(t testing.TB) *features.Encoder {
	t.Helper()
	table, moments := history()
	e, left, err := features.FitEncoder(table, moments)
	if err != nil || len(left) > 0 {
		t.Fatalf("error %v, left out %v", err, left)
	}
	return e
}

func linear(e *features.Encoder) *models.Linear {
	m := &models.Linear{Intercept: -1.3}
	for j := range e.Columns {
		c := &e.Columns[j]
		term := models.Term{Scale: 1, Missing: 0.07, Mean: 0.015625, Spread: float64(1 + j)}
		if c.Kind == datasets.Category {
			for k := range c.Levels {
				term.Levels = append(term.Levels, 0.4-0.37*float64(k+j%2))
			}
		} else if c.Name == "logins_28d" || c.Name == "created_at" { // in bins
			term.Cuts = []float64{c.Min, (c.Min + c.Median) / 2, c.Median, c.Max}
			term.Levels, term.Scale = []float64{-0.9, -0.35, 0.15, 0.45, 1.2}, 0
		} else {
			term.Center, term.Scale, term.Weight = c.Median, c.Max-c.Min, []float64{-2.3, 1.1, 0.7}[j%3]
		}
		m.Terms = append(m.Terms, term)
	}
	return m
}

func levels(e *features.Encoder) []int {
	out := make([]int, len(e.Columns))
	for j, f := range e.Features() {
		out[j] = f.Levels
	}
	return out
}

func ensemble(t testing.TB, e *features.Encoder) *tree.Ensemble {
	t.Helper()
	leaf := func(value, cover float64) tree.Node { return tree.Node{Feature: -1, Value: value, Cover: cover} }
	b := tree.NewBuilder(levels(e), -1.1)
	for _, nodes := range [][]tree.Node{
		{
			{Feature: e.Find("logins_28d"), Threshold: 20.5, Yes: 1, No: 2, MissingYes: true, Cover: 60},
			{Feature: e.Find("plan"), Set: []int32{0, 2}, Yes: 3, No: 4, UnseenYes: true, Cover: 25},
			{Feature: e.Find("paid_seats"), Threshold: 5, Yes: 5, No: 6, Cover: 35},
			leaf(0.93, 10), leaf(0.21, 15), leaf(-0.61, 20), leaf(-0.13, 15),
		},
		{{Feature: e.Find("created_at"), Threshold: 33.3, Yes: 1, No: 2, Cover: 60}, leaf(0.17, 24), leaf(-0.11, 36)},
		{{Feature: e.Find("tier"), Set: []int32{1}, MissingYes: true, Yes: 1, No: 2, Cover: 60}, leaf(-0.4, 30), leaf(0.05, 30)},
		{{Feature: e.Find("sso"), Threshold: 0.5, Yes: 1, No: 2, MissingYes: true, Cover: 60}, leaf(0.02, 45), leaf(-0.3, 15)},
	} {
		if err := b.Add(nodes); err != nil {
			t.Fatal(err)
		}
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// calibrations are one of each kind.
func calibrations() []models.Calibration {
	return []models.Calibration{
		{Kind: models.CalibrationNone},
		{Kind: models.CalibrationPlatt, Slope: 0.9, Intercept: -0.05},
		{Kind: models.CalibrationIsotonic, Raw: []float64{-2, -1.25, -0.5, 0.5}, LogOdds: []float64{-3, -1.5, -1.25, 1}},
	}
}

// artifact is a linear or tree one of the model churn.
func artifact(t testing.TB, kind string, calibration models.Calibration) *models.Artifact {
	t.Helper()
	e := encoder(t)
	var m models.Model = linear(e)
	if kind == "tree" {
		m = ensemble(t, e)
	}
	table, moments := history()
	columns, err := e.EncodeTable(table, moments)
	if err != nil {
		t.Fatal(err)
	}
	ranking, err := evaluate.NewRanking(models.RawAll(m, columns, rows))
	if err != nil {
		t.Fatal(err)
	}
	a := &models.Artifact{
		Manifest: models.Manifest{
			Name: "churn", Learner: "logistic", Account: "account_id", Moment: "moment",
			Label: models.Label{Column: "churned", Positive: "<yes>"}, BaseRate: 0.2, Seed: 1<<63 + 1,
			Bands: []models.Band{{Name: "A", From: 0.5, Rows: 6, Positives: 4}, {Name: "B", From: 0.25, Rows: 18, Positives: 4}, {Name: "C"}},
			Notes: []string{"é"},
		},
		Encoder: e, Model: m, Calibration: calibration, Ranking: ranking,
		Spec: []byte("version: 1\n"), Card: []byte("# churn\n"), Report: []byte("<!DOCTYPE html>\n"),
	}
	a.Metrics.Importance = models.RankImportance(a)
	return a
}

func files(t testing.TB, a *models.Artifact) models.Files {
	t.Helper()
	f, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func scorer(t testing.TB, a *models.Artifact) *models.Scorer {
	t.Helper()
	s, err := models.NewScorer(files(t, a))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// each runs a test for both kinds of model and all calibrations.
func each(t *testing.T, f func(t *testing.T, a *models.Artifact)) {
	for _, kind := range []string{"linear", "tree"} {
		for _, c := range calibrations() {
			t.Run(kind+" "+c.Kind, func(t *testing.T) { f(t, artifact(t, kind, c)) })
		}
	}
}

// cells is row i of a table, as the scorer takes it.
func cells(e *features.Encoder, t *datasets.Table, i int) []datasets.Value {
	row := make([]datasets.Value, len(e.Columns))
	for j := range row {
		row[j] = t.Column(e.Columns[j].Name).At(i)
	}
	return row
}

func TestFilesRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, a *models.Artifact) {
		f := files(t, a)
		if again := files(t, a); !maps.EqualFunc(f, again, bytes.Equal) {
			t.Fatal("the same artifact makes other bytes the second time")
		}
		if got := slices.Sorted(maps.Keys(f)); !slices.Equal(got, slices.Sorted(slices.Values(append(models.FileNames(), models.ManifestFile)))) {
			t.Fatalf("files %q", got)
		}
		read, err := models.ParseArtifact(f)
		if err != nil {
			t.Fatal(err)
		}
		if again := files(t, read); !maps.EqualFunc(f, again, bytes.Equal) {
			t.Fatal("what was read is written otherwise")
		}
		if read.Hash() != a.Hash() || len(a.Hash()) != 64 {
			t.Errorf("hash %s, read %s", a.Hash(), read.Hash())
		}
		s, err := models.NewScorer(f)
		if err != nil {
			t.Fatal(err)
		}
		table, moments := history()
		columns, err := a.Encoder.EncodeTable(table, moments)
		if err != nil {
			t.Fatal(err)
		}
		raw, probability := s.ScoreColumns(columns, rows)
		for i, want := range models.RawAll(a.Model, columns, rows) {
			if raw[i] != want || probability[i] != a.Calibration.Probability(want) {
				t.Errorf("row %d: %v, %v; the model that was written says %v", i, raw[i], probability[i], want)
			}
		}
	})
}

// rehash makes the manifest fit the files again, as whoever can write to the
// directory could: it does by FORMAT.md what Files does.
func rehash(t testing.TB, f models.Files, change func(m *models.Manifest)) models.Files {
	t.Helper()
	var m models.Manifest
	if err := json.Unmarshal(f[models.ManifestFile], &m); err != nil {
		t.Fatal(err)
	}
	for i := range m.Files {
		h := &m.Files[i]
		sum := sha256.Sum256(f[h.Name])
		h.Size, h.SHA256 = len(f[h.Name]), hex.EncodeToString(sum[:])
	}
	if change != nil {
		change(&m)
	}
	m.Hash = ""
	sum := sha256.Sum256(indented(t, m))
	m.Hash = hex.EncodeToString(sum[:])
	out := maps.Clone(f)
	out[models.ManifestFile] = indented(t, m)
	return out
}

func indented(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func TestRehashIsThatOfFiles(t *testing.T) {
	f := files(t, artifact(t, "tree", calibrations()[2]))
	if again := rehash(t, f, nil); !maps.EqualFunc(f, again, bytes.Equal) {
		t.Errorf("%s\nwritten as\n%s", f[models.ManifestFile], again[models.ManifestFile])
	}
}

func refused(t testing.TB, what string, f models.Files) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, err := models.NewScorer(f)
	runtime.ReadMemStats(&after)
	if s != nil && err == nil || !errors.Is(err, models.ErrDamaged) && !errors.Is(err, models.ErrReplay) {
		t.Errorf("%s: error %v", what, err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
		t.Errorf("%s took %d MiB", what, took>>20)
	}
}

func TestEveryFlipIsRefused(t *testing.T) {
	f := files(t, artifact(t, "tree", calibrations()[2]))
	for name, b := range f {
		step := 1
		if name != models.ManifestFile && len(b) > 500 {
			step = len(b)/500 | 1
		}
		for i := 0; i < len(b); i += step {
			bad := slices.Clone(b)
			bad[i] ^= 1 << (i % 8)
			g := maps.Clone(f)
			g[name] = bad
			if _, err := models.ParseArtifact(g); !errors.Is(err, models.ErrDamaged) {
				t.Errorf("%s, byte %d: error %v", name, i, err)
			}
		}
		for _, n := range []int{0, 1, len(b) / 2, len(b) - 1} {
			g := maps.Clone(f)
			g[name] = b[:n]
			refused(t, name+" cut off", g)
		}
		g := maps.Clone(f)
		g[name] = append(slices.Clone(b), ' ')
		refused(t, name+" with more", g)
		delete(g, name)
		refused(t, name+" away", g)
	}
	for _, name := range []string{"more.json", "../encoder.json", "/etc/passwd", ""} {
		g := maps.Clone(f)
		g[name] = []byte("x")
		refused(t, "file "+name, g)
	}
	refused(t, "nothing", nil)
}

// fault changes a copy of some files; the manifest is then made to fit again.
type fault struct {
	what   string
	file   string
	change func(t testing.TB, b []byte) []byte
}

// text replaces the first of some text, which must be there.
func text(what, file, from, to string) fault {
	return fault{what, file, func(t testing.TB, b []byte) []byte {
		if !bytes.Contains(b, []byte(from)) {
			t.Fatalf("%s: no %q in %s", what, from, b)
		}
		return bytes.Replace(b, []byte(from), []byte(to), 1)
	}}
}

// table changes an Arrow file as a table.
func table(what, file string, change func(t *datasets.Table)) fault {
	return fault{what, file, func(t testing.TB, b []byte) []byte {
		read, err := datasets.UnmarshalIPC(b)
		if err != nil {
			t.Fatal(err)
		}
		change(read)
		out, err := datasets.MarshalIPC(read)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return out
	}}
}

// cell sets one number of a table.
func cell(what, file, column string, row int, x float64) fault {
	return table(what, file, func(t *datasets.Table) { t.Column(column).Numbers[row] = x })
}

func (f fault) check(t *testing.T, sound models.Files) {
	t.Helper()
	g := maps.Clone(sound)
	g[f.file] = f.change(t, sound[f.file])
	if bytes.Equal(g[f.file], sound[f.file]) {
		t.Fatalf("%s changes nothing", f.what)
	}
	refused(t, f.file+": "+f.what, rehash(t, g, nil))
}

func TestHostileFiles(t *testing.T) {
	const model, calibration, baseline, replay = models.ModelFile, models.CalibrationFile, models.BaselineFile, models.ReplayFile
	nan, inf := math.NaN(), math.Inf(1)
	every := func(n int) []int {
		out := make([]int, n)
		for i := range out {
			out[i] = i
		}
		return out
	}
	drop := func(name string) func(t *datasets.Table) {
		return func(t *datasets.Table) {
			t.Columns = slices.DeleteFunc(t.Columns, func(c datasets.Column) bool { return c.Name == name })
		}
	}
	retype := func(name string) func(t *datasets.Table) {
		return func(t *datasets.Table) {
			c := t.Column(name)
			*c = datasets.Column{Name: name, Kind: datasets.Text, Values: []string{"x"}, Codes: make([]int32, t.Rows())}
		}
	}
	both := []fault{
		table("no rows", model, func(t *datasets.Table) { *t = *t.Take(nil) }),
		table("a row less", model, func(t *datasets.Table) { *t = *t.Take(every(t.Rows() - 1)) }),
		table("a row twice", model, func(t *datasets.Table) { *t = *t.Take(append(every(t.Rows()), t.Rows()-1)) }),
		table("a column more", model, func(t *datasets.Table) {
			t.Columns = append(t.Columns, datasets.Column{Name: "more", Kind: datasets.Number, Numbers: make([]float64, t.Rows())})
		}),
		table("no value", model, drop("value")),
		table("text for value", model, retype("value")),
		{"nothing", model, func(testing.TB, []byte) []byte { return nil }},
		{"noise", model, func(testing.TB, []byte) []byte { return []byte("ARROW1 is not all of it") }},

		text("column renamed", models.EncoderFile, `"paid_seats"`, `"seats"`),
		text("level renamed", models.EncoderFile, `"free"`, `"fred"`),
		text("number turned boolean", models.EncoderFile, `"number"`, `"boolean"`),
		text("level too many", models.EncoderFile, `"free",`, `"free", "gratis",`),
		text("not JSON", models.EncoderFile, `{`, `[`),
		{"no columns", models.EncoderFile, func(testing.TB, []byte) []byte { return []byte(`{"columns":[]}`) }},
		text("metrics with another field", models.MetricsFile, `"candidates"`, `"more":1,"candidates"`),

		text("unknown kind", calibration, `"isotonic"`, `"spline"`),
		text("no knots", calibration, `"isotonic"`, `"none"`),
		text("falling knots", calibration, `-1.25`, `-9`),
		text("knots at one place", calibration, `-1.25`, `-2`),
		text("too few knots", calibration, "-3,", ""),
		text("huge knot", calibration, "-3", "-1e200"),
		text("number beyond a float64", calibration, "-3", "-1e999"),
		text("other knots", calibration, "-1.5", "-1.4"),

		cell("falling", baseline, "raw", 0, 50),
		cell("a value missing", baseline, "raw", 1, nan),
		cell("an infinite value", baseline, "raw", 0, -inf),
		cell("a count of 0", baseline, "rows", 0, 0),
		cell("half a row", baseline, "rows", 0, 0.5),
		cell("a huge count", baseline, "rows", 0, 1e300),
		cell("a negative count", baseline, "rows", 0, -1),
		table("no rows", baseline, func(t *datasets.Table) { *t = *t.Take(nil) }),
		table("no counts", baseline, drop("rows")),
		table("text", baseline, retype("raw")),

		table("63 rows", replay, func(t *datasets.Table) { *t = *t.Take(every(63)) }),
		table("no rows", replay, func(t *datasets.Table) { *t = *t.Take(nil) }),
		table("no column", replay, drop("row/plan")),
		table("text", replay, retype("row/logins_28d")),
		table("moments of text", replay, retype("expected/moment")),
		cell("no raw", replay, "expected/raw", 3, nan),
		cell("another raw", replay, "expected/raw", 3, 0.123),
		cell("another base", replay, "expected/base", 3, 0.123),
		cell("another probability", replay, "expected/probability", 63, 0.123),
		cell("other reasons", replay, "expected/explained", 0, inf),
		cell("an infinite cell", replay, "row/logins_28d", 0, inf),
	}
	linear := []fault{
		cell("a weight missing", model, "value", 7, nan),
		cell("an infinite intercept", model, "value", 0, inf),
		cell("a huge intercept", model, "value", 0, 1e101),
		cell("another intercept", model, "value", 0, 0.5),
		cell("another order", model, "feature", 3, 5),
		cell("a huge level", model, "level", 1, 1e300),
		table("unknown part", model, func(t *datasets.Table) { t.Column("part").Values[0] = "offset" }),
	}
	trees := []fault{
		cell("a cycle", model, "yes", 1, 0),
		cell("a node with two parents", model, "no", 1, 1),
		cell("a child outside", model, "no", 1, 99),
		cell("half a child", model, "no", 1, 1.5),
		cell("a huge child", model, "yes", 1, 1e300),
		cell("a negative child", model, "yes", 1, -1),
		cell("a feature outside", model, "feature", 1, 6),
		cell("a huge feature", model, "feature", 1, 1e300),
		cell("a negative feature", model, "feature", 1, -2),
		cell("a feature of another kind", model, "feature", 1, 0),
		cell("no threshold", model, "threshold", 1, nan),
		cell("an infinite threshold", model, "threshold", 1, inf),
		cell("another threshold", model, "threshold", 1, -1e6),
		cell("a threshold of categories", model, "threshold", 2, 1),
		cell("no cover", model, "cover", 4, 0),
		cell("a negative cover", model, "cover", 4, -10),
		cell("a cover missing", model, "cover", 4, nan),
		cell("covers that do not add up", model, "cover", 1, 61),
		cell("a leaf without a value", model, "value", 4, nan),
		cell("a huge leaf", model, "value", 4, 1e300),
		cell("another leaf", model, "value", 4, 0.94),
		cell("another base", model, "value", 0, -1.2),
		cell("a tree out of order", model, "tree", 1, 3),
		cell("no base", model, "tree", 0, 0),
		table("a category outside", model, func(t *datasets.Table) { t.Column("categories").Values[0] = "0 9" }),
		table("a category twice", model, func(t *datasets.Table) { t.Column("categories").Values[0] = "0 0" }),
		table("a huge category", model, func(t *datasets.Table) { t.Column("categories").Values[0] = "0 " + strings.Repeat("9", 40) }),
		table("no category", model, func(t *datasets.Table) { t.Column("categories").Values[0] = "x" }),
		table("columns in another order", model, func(t *datasets.Table) { slices.Reverse(t.Columns) }),
	}
	for kind, more := range map[string][]fault{"linear": linear, "tree": trees} {
		sound := files(t, artifact(t, kind, calibrations()[2]))
		for _, f := range append(slices.Clone(both), more...) {
			f.check(t, sound)
		}
		for what, change := range map[string]func(m *models.Manifest){
			"a path for a name":   func(m *models.Manifest) { m.Name = "../churn" },
			"no name":             func(m *models.Manifest) { m.Name = "" },
			"another format":      func(m *models.Manifest) { m.Format = 1 },
			"no kind":             func(m *models.Manifest) { m.Kind = "" },
			"the other kind":      func(m *models.Manifest) { m.Kind = map[string]string{"linear": "tree", "tree": "linear"}[kind] },
			"no bands":            func(m *models.Manifest) { m.Bands = nil },
			"bands that rise":     func(m *models.Manifest) { slices.Reverse(m.Bands) },
			"no last band":        func(m *models.Manifest) { m.Bands = m.Bands[:2] },
			"a band above 1":      func(m *models.Manifest) { m.Bands[0].From = 1.5 },
			"bands at one place":  func(m *models.Manifest) { m.Bands[1].From = 0.5 },
			"a band unnamed":      func(m *models.Manifest) { m.Bands[0].Name = "" },
			"a base rate of 2":    func(m *models.Manifest) { m.BaseRate = 2 },
			"files in order":      func(m *models.Manifest) { slices.Reverse(m.Files) },
			"a file less":         func(m *models.Manifest) { m.Files = m.Files[1:] },
			"a file more":         func(m *models.Manifest) { m.Files = append(m.Files, models.FileHash{Name: "../x"}) },
			"a size that is huge": func(m *models.Manifest) { m.Files[0].Size = math.MaxInt },
			"a hash of nothing":   func(m *models.Manifest) { m.Files[0].SHA256 = "" },
		} {
			refused(t, kind+": manifest with "+what, rehash(t, sound, change))
		}
	}
	// Files of two sound artifacts of the same columns do not mix.
	a, b := files(t, artifact(t, "tree", calibrations()[0])), files(t, artifact(t, "linear", calibrations()[1]))
	for _, name := range []string{models.ModelFile, models.CalibrationFile, models.ReplayFile} {
		g := maps.Clone(a)
		g[name] = b[name]
		refused(t, name+" of another artifact", rehash(t, g, nil))
	}
}

// An artifact whose rows came from facts carries how; one file more, hashed as all.
func TestFeaturesFile(t *testing.T) {
	a := artifact(t, "linear", calibrations()[0])
	plain := files(t, a)
	a.Features = []byte("version: 1\n")
	f := files(t, a)
	if got := slices.Sorted(maps.Keys(f)); !slices.Equal(got, slices.Sorted(slices.Values(append(models.AllFileNames(), models.ManifestFile)))) {
		t.Fatalf("files %q", got)
	}
	s, err := models.NewScorer(f)
	if err != nil || string(s.Artifact().Features) != "version: 1\n" {
		t.Fatalf("%v, features %q", err, s.Artifact().Features)
	}
	changed := maps.Clone(f)
	changed[models.FeaturesFile] = []byte("version: 2\n")
	refused(t, "features that were changed", changed)
	delete(changed, models.FeaturesFile)
	refused(t, "features that are gone", changed)
	added := maps.Clone(plain)
	added[models.FeaturesFile] = f[models.FeaturesFile]
	refused(t, "features that were added", added)
}

// A file replaced by anything, under a manifest that fits: an error, or a scorer
// that gives what its replay rows say.
func FuzzParseArtifact(f *testing.F) {
	names := append(models.FileNames(), models.ManifestFile)
	var sound []models.Files
	for i, kind := range []string{"linear", "tree"} {
		sound = append(sound, files(f, artifact(f, kind, calibrations()[1+i])))
		for k, name := range names {
			f.Add(i == 1, byte(k), sound[i][name])
		}
	}
	f.Fuzz(func(t *testing.T, trees bool, file byte, b []byte) {
		g := maps.Clone(sound[0])
		if trees {
			g = maps.Clone(sound[1])
		}
		name := names[int(file)%len(names)]
		g[name] = b
		if name != models.ManifestFile {
			g = rehash(t, g, nil)
		}
		s, err := models.NewScorer(g)
		if err != nil {
			return
		}
		table, _ := history()
		var a models.Answer
		if e := s.Encoder(); len(e.Columns) == len(table.Columns) {
			for i := range 5 {
				if err := s.Score(&a, cells(e, table, i), moment, -1); err == nil && !(a.Probability > 0 && a.Probability < 1) {
					t.Fatalf("probability %v", a.Probability)
				}
			}
		}
	})
}
