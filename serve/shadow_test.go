package serve

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/registry"
)

const shadowPath = "/v1/models/churn/shadow"

// wider publishes a version that needs one column more, tickets.
func wider(t testing.TB, r *registry.Registry, name string) int {
	t.Helper()
	table, moments := trainingTable()
	tickets := datasets.Column{Name: "tickets", Kind: datasets.Number}
	for i := range moments {
		tickets.Numbers = append(tickets.Numbers, float64(i%7))
	}
	table.Columns = append([]datasets.Column{tickets}, table.Columns...)
	n, err := r.Publish(t.Context(), name, artifactOf(t, name, 3, table, moments), registry.Event{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// shadowed is a server of churn@1 whose challenger is churn@2.
func withChallenger(t *testing.T, cfg Config) *fixture {
	t.Helper()
	cfg.Shadow = true
	return serveRegistry(t, cfg, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion)
		publish(t, f.registry, "churn", 40, Challenger)
	})
}

func (f *fixture) agreement(t *testing.T) shadowAnswer {
	t.Helper()
	return decodeAs[shadowAnswer](t, wantStatus(t, f.get(t, shadowPath), 200).body)
}

// The report holds what a client finds who asks both versions and compares by hand.
func TestShadowAgrees(t *testing.T) {
	f := withChallenger(t, Config{})
	if got := f.agreement(t); got.Scored != 0 || got.MeanProbability != nil || got.Champion != 1 || got.Challenger != 2 {
		t.Errorf("%+v", got)
	}
	const n = 40
	var x, y []float64
	counts := map[string]int64{}
	changed := 0.0
	for i := range n {
		row := strings.Replace(wholeRow, `"logins_28d":6`, fmt.Sprintf(`"logins_28d":%d`, i*3%53), 1)
		request := requestOf(fmt.Sprint("A-", i), row)
		a := decodeAs[wire](t, wantStatus(t, f.score(t, "churn", request), 200).body)
		b := decodeAs[wire](t, wantStatus(t, f.score(t, "churn@challenger", request), 200).body)
		x, y = append(x, a.Probability), append(y, b.Probability)
		counts[a.Band+b.Band]++
		if a.Version != 1 || b.Version != 2 {
			t.Fatal(a.Version, b.Version)
		}
		if a.Band != b.Band {
			changed++
		}
	}
	f.eventually(t, "compared", func() bool { return f.agreement(t).Scored == n })
	got := f.agreement(t)
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	mean, meanAbsolute, maximum, r := compareByHand(x, y)
	near("mean", got.Difference.Mean, mean)
	near("mean without sign", got.Difference.MeanAbsolute, meanAbsolute)
	near("maximum", got.Difference.MaxAbsolute, maximum)
	near("correlation", *got.Correlation, r)
	near("champion", got.MeanProbability.Champion, meanOf(x))
	near("challenger", got.MeanProbability.Challenger, meanOf(y))
	near("changed", got.Bands.Changed, changed/n)
	for i, a := range got.Bands.Champion {
		for j, b := range got.Bands.Challenger {
			if got.Bands.Counts[i][j] != counts[a+b] {
				t.Errorf("%s to %s: %d, want %d", a, b, got.Bands.Counts[i][j], counts[a+b])
			}
		}
	}
	if changed == 0 || got.Unfit+got.Failed+got.Dropped != 0 {
		t.Errorf("%v changed; %+v", changed, got)
	}
	text := string(f.get(t, "/metrics").body)
	for _, want := range []string{`propensity_shadow_total{model="churn",result="scored"} 40`, `propensity_shadow_difference_count{model="churn"} 40`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	// Two others meet: the count begins anew.
	publish(t, f.registry, "churn", 5, Challenger)
	f.eventually(t, "another pair", func() bool { a := f.agreement(t); return a.Challenger == 3 && a.Scored == 0 })
}

func meanOf(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// compareByHand is the definition of what the agreement keeps up to date.
func compareByHand(x, y []float64) (mean, meanAbsolute, maximum, r float64) {
	mx, my := meanOf(x), meanOf(y)
	var sxx, syy, sxy float64
	for i := range x {
		d := math.Abs(y[i] - x[i])
		meanAbsolute += d / float64(len(x))
		maximum = max(maximum, d)
		sxx += (x[i] - mx) * (x[i] - mx)
		syy += (y[i] - my) * (y[i] - my)
		sxy += (x[i] - mx) * (y[i] - my)
	}
	return my - mx, meanAbsolute, maximum, sxy / math.Sqrt(sxx*syy)
}

// Anscombe's first set (1973, Graphs in statistical analysis), whose correlation is
// 0.81642051634484 by R's cor(anscombe$x1, anscombe$y1); here as probabilities.
func TestAgreementOfAnscombe(t *testing.T) {
	x := []float64{10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5}
	y := []float64{8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68}
	a := agreement{champion: []string{"A"}, newcomer: []string{"A"}, table: [][]int64{{0}}}
	for i := range x {
		a.add(x[i]/100, "A", y[i]/100, "A")
	}
	got := (&pair{champion: &version{}, challenger: &version{}, agreement: a}).report()
	if math.Abs(*got.Correlation-0.81642051634484) > 1e-13 || math.Abs(got.Difference.Mean-(7.500909090909091-9)/100) > 1e-15 || got.Bands.Counts[0][0] != 11 {
		t.Errorf("%v %+v", *got.Correlation, got)
	}
	// Where one does not vary there is no correlation.
	flat := agreement{}
	flat.add(0.5, "", 0.2, "")
	flat.add(0.5, "", 0.3, "")
	if got := (&pair{champion: &version{}, challenger: &version{}, agreement: flat}).report(); got.Correlation != nil {
		t.Errorf("%v", *got.Correlation)
	}
}

// Probabilities of much the same size lose no digits over many scores.
func TestAgreementIsStable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var x, y []float64
	var a agreement
	for range 10_000 {
		z := rng.NormFloat64()
		x, y = append(x, 0.9+1e-7*z), append(y, 0.9+1e-7*(z+rng.NormFloat64()))
		a.add(x[len(x)-1], "", y[len(y)-1], "")
	}
	_, _, _, want := compareByHand(x, y)
	got := (&pair{champion: &version{}, challenger: &version{}, agreement: a}).report()
	if math.Abs(*got.Correlation-want) > 1e-7 || math.Abs(want-math.Sqrt(0.5)) > 0.02 {
		t.Errorf("%v, want %v", *got.Correlation, want)
	}
}

// A challenger with more columns gets them from the request, and what has none is counted.
func TestShadowOfOtherColumns(t *testing.T) {
	f := serveRegistry(t, Config{Shadow: true}, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion)
		promote(t, f.registry, "churn", wider(t, f.registry, "churn"), Challenger)
	})
	more := strings.Replace(wholeRow, "{", `{"tickets":3,`, 1)
	want := decodeAs[wire](t, wantStatus(t, f.score(t, "churn@challenger", requestOf("A", more)), 200).body)
	for _, row := range []string{wholeRow, more, wholeRow} {
		wantStatus(t, f.score(t, "churn", requestOf("A", row)), 200)
	}
	f.eventually(t, "compared", func() bool { a := f.agreement(t); return a.Scored == 1 && a.Unfit == 2 })
	if got := f.agreement(t); got.MeanProbability.Challenger != want.Probability || got.Failed+got.Dropped != 0 {
		t.Errorf("%+v, want %v", got, want.Probability)
	}
}

// Cells that came in no text of ours are put where the challenger has the same columns.
func TestRefitWithoutText(t *testing.T) {
	f := withChallenger(t, Config{})
	champion := f.server.state.Load().models["churn"].aliases[registry.Champion].version
	other, err := New(Config{Registry: f.registry})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	wide := wider(t, f.registry, "churn")
	challenger, _, err := other.load("churn", wide)
	if err != nil {
		t.Fatal(err)
	}
	var q request
	if err := q.decode([]byte(requestOf("A", wholeRow)), champion.scorer.Encoder(), 0, 100, ""); err != nil {
		t.Fatal(err)
	}
	q.text = nil
	if fits, err := f.server.refit(&q, champion, challenger, ""); fits || err == nil {
		t.Errorf("a column that is not there: %v, %v", fits, err)
	}
	var back request
	more := strings.Replace(wholeRow, "{", `{"tickets":3,`, 1)
	if err := back.decode([]byte(requestOf("A", more)), challenger.scorer.Encoder(), 0, 100, ""); err != nil {
		t.Fatal(err)
	}
	back.text = nil
	if fits, err := f.server.refit(&back, challenger, champion, ""); !fits || err != nil {
		t.Fatalf("%v, %v", fits, err)
	}
	if d := cmp.Diff(q.row, back.row); d != "" || !slices.Equal(back.unknown, []string{"tickets"}) {
		t.Errorf("%s, unknown %v", d, back.unknown)
	}
}

// Where nothing takes scores out of the queue, the answers go on and the rest is counted.
func TestShadowDrops(t *testing.T) {
	const room, n = 4, 30
	f := withChallenger(t, Config{ShadowQueue: room})
	var held []*shadowed
	for range room {
		held = append(held, <-f.server.shadow.free)
	}
	for range n {
		wantStatus(t, f.score(t, "churn", requestOf("A", wholeRow)), 200)
	}
	if got := f.agreement(t); got.Dropped != n || got.Scored != 0 {
		t.Errorf("%+v", got)
	}
	for _, h := range held {
		f.server.shadow.free <- h
	}
	// Nor is there room for more than so many bytes.
	f.server.shadow.bytes.Add(maxShadowBytes)
	wantStatus(t, f.score(t, "churn", requestOf("A", wholeRow)), 200)
	if got := f.agreement(t); got.Dropped != n+1 || got.Scored != 0 {
		t.Errorf("%+v", got)
	}
	f.server.shadow.bytes.Add(-maxShadowBytes)
	wantStatus(t, f.score(t, "churn", requestOf("A", wholeRow)), 200)
	f.eventually(t, "compared", func() bool { return f.agreement(t).Scored == 1 && len(f.server.shadow.free) == room })
	if left := f.server.shadow.bytes.Load(); left != 0 {
		t.Errorf("%d bytes of nothing", left)
	}
}

// Nothing of a request is kept that lies in memory which the next one uses.
func TestShadowKeepsCopies(t *testing.T) {
	f := withChallenger(t, Config{})
	p := f.server.state.Load().models["churn"].pair
	text := []byte(requestOf("A-17", wholeRow))
	for _, withText := range []bool{true, false} {
		var q request
		if err := q.decode(text, p.champion.scorer.Encoder(), 0, 100, ""); err != nil {
			t.Fatal(err)
		}
		if !withText {
			q.text = nil
		}
		want := slices.Clone(q.row)
		free := <-f.server.shadow.free
		f.server.shadow.free <- free
		h := &shadow{server: f.server, free: make(chan *shadowed, 1), queue: make(chan *shadowed, 1)}
		h.free <- new(shadowed)
		h.offer(&given{version: p.champion, request: &q, answer: new(models.Answer)})
		clear(q.row)
		for i := range text {
			text[i] = 'x'
		}
		task := <-h.queue
		fits, err := f.server.refit(&task.request, p.champion, p.challenger, "")
		if d := cmp.Diff(want, task.request.row); !fits || err != nil || d != "" || task.request.account != "A-17" {
			t.Errorf("with its text %v: %v, %v, %s", withText, fits, err, d)
		}
		text = []byte(requestOf("A-17", wholeRow))
	}
}

// The challenger's scores are in the ledger beside those that went out, and marked.
func TestShadowIsKept(t *testing.T) {
	f := remembering(t, Config{Shadow: true})
	publish(t, f.registry, "churn", 40, Challenger)
	f.eventually(t, "paired", func() bool { return f.get(t, shadowPath).status == 200 })
	a := decodeAs[wire](t, wantStatus(t, f.score(t, "churn", requestOf("A-17", wholeRow)), 200).body)
	b := decodeAs[wire](t, wantStatus(t, f.score(t, "churn@challenger", `{"dry_run": true,`+requestOf("A-17", wholeRow)[1:]), 200).body)
	f.eventually(t, "compared", func() bool { return f.agreement(t).Scored == 1 })
	kept := f.scores(t, "A-17/scores").Scores
	if len(kept) != 2 {
		t.Fatalf("%+v", kept)
	}
	of := map[string]keptWire{kept[0].Origin: kept[0], kept[1].Origin: kept[1]}
	request, shadow := of["request"], of["shadow"]
	if request.Version != 1 || request.Probability != a.Probability || shadow.Version != 2 || shadow.Probability != b.Probability || a.Probability == b.Probability {
		t.Errorf("%+v", kept)
	}
	if request.Request == "" || request.Request != shadow.Request || len(shadow.Reasons) > 0 || shadow.AsOf != request.AsOf {
		t.Errorf("%+v\n%+v", request, shadow)
	}
	// A dry run shows the challenger nothing, and nobody's band has changed.
	wantStatus(t, f.score(t, "churn", `{"dry_run": true,`+requestOf("A-17", wholeRow)[1:]), 200)
	changes, err := f.server.ledger.Changes(t.Context(), 0, 10)
	if err != nil || len(changes) > 0 || f.agreement(t).Scored != 1 {
		t.Errorf("%+v, %v", changes, err)
	}
}

// An account that is scored from its facts is scored from them by the challenger too, as
// of the same moment.
func TestShadowFromFacts(t *testing.T) {
	f := withFacts(t, Config{Shadow: true})
	publishRenewal(t, f.registry) // version 2, the champion
	promote(t, f.registry, "renewal", 1, Challenger)
	if err := f.server.accounts.Append(t.Context(), f.server.schema().projects, knownFacts()); err != nil {
		t.Fatal(err)
	}
	agreement := func() shadowAnswer {
		return decodeAs[shadowAnswer](t, wantStatus(t, f.get(t, "/v1/models/renewal/shadow"), 200).body)
	}
	f.eventually(t, "paired", func() bool { return f.get(t, "/v1/models/renewal/shadow").status == 200 })
	const asOf = `"as_of": "2026-03-01T09:30:00Z"}`
	a := decodeAs[wire](t, wantStatus(t, f.score(t, "renewal", `{"account": "A-17", `+asOf), 200).body)
	f.eventually(t, "compared", func() bool { return agreement().Scored == 1 })
	if got := agreement(); got.MeanProbability.Challenger != a.Probability || got.Unfit+got.Failed != 0 {
		t.Errorf("%+v, want %v", got, a.Probability)
	}
	b := decodeAs[wire](t, wantStatus(t, f.score(t, "renewal", `{"account": "A-17", "row": {"plan": "free"}, `+asOf), 200).body)
	f.eventually(t, "compared", func() bool { return agreement().Scored == 2 })
	if got := agreement(); math.Abs(got.MeanProbability.Challenger-(a.Probability+b.Probability)/2) > 1e-15 || got.Difference.MaxAbsolute != 0 || a.Probability == b.Probability {
		t.Errorf("%+v, want the mean of %v and %v", got, a.Probability, b.Probability)
	}
}

// Without --shadow, or a challenger, there is no report.
func TestNoShadow(t *testing.T) {
	f := still(t, Config{}, 2)
	wantStatus(t, f.get(t, shadowPath), 501)
	g := still(t, Config{Shadow: true}, 2)
	wantStatus(t, g.get(t, shadowPath), 404)
	wantStatus(t, g.get(t, "/v1/models/none/shadow"), 404)
	wantStatus(t, g.do(t, "PUT", "/v1/models/churn/aliases/challenger", `{"version": 1}`), 200) // the champion itself
	wantStatus(t, g.get(t, shadowPath), 404)
	wantStatus(t, g.do(t, "PUT", "/v1/models/churn/aliases/challenger", `{"version": 2}`), 200)
	wantStatus(t, g.get(t, shadowPath), 200)
}

// What a score costs that is kept for the challenger, in nanoseconds and allocations.
func BenchmarkShadowOffer(b *testing.B) {
	f := serveRegistry(b, Config{Shadow: true}, func(f *fixture) {
		publish(b, f.registry, "churn", 1, registry.Champion)
		publish(b, f.registry, "churn", 40, Challenger)
	})
	p := f.server.state.Load().models["churn"].pair
	var q request
	if err := q.decode([]byte(requestOf("A-17", wholeRow)), p.champion.scorer.Encoder(), 0, 100, ""); err != nil {
		b.Fatal(err)
	}
	g := &given{version: p.champion, request: &q, answer: new(models.Answer)}
	h := &shadow{server: f.server, free: make(chan *shadowed, 1), queue: make(chan *shadowed, 1)}
	h.free <- new(shadowed)
	b.ReportAllocs()
	for b.Loop() {
		h.offer(g)
		t := <-h.queue
		h.bytes.Add(-t.size)
		h.free <- t
	}
}
