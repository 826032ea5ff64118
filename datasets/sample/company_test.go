package sample

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"

	"propensity/datasets"
)

// company is one simulation that several tests look at.
var company = sync.OnceValue(func() *Company { return Simulate(Options{Accounts: 4000, Seed: 11}) })

func TestSimulateIsDeterministic(t *testing.T) {
	o := Options{Accounts: 300, Seed: 3}
	one := Simulate(o)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	two := Simulate(o)
	if one.AsOf != two.AsOf || one.Censored != two.Censored {
		t.Errorf("the same options, other figures: %v and %v", one.Censored, two.Censored)
	}
	for i, a := range append(one.tables(), file{"events", one.Events}) {
		if b := append(two.tables(), file{"events", two.Events})[i]; !sameBits(a.table, b.table) {
			t.Errorf("the same options, another table %s", a.name)
		}
	}
	o.Seed++
	if sameBits(one.Churn, Simulate(o).Churn) {
		t.Error("the seed changes nothing")
	}
}

func sameBits(a, b *datasets.Table) bool {
	return slices.EqualFunc(a.Columns, b.Columns, func(a, b datasets.Column) bool {
		return a.Name == b.Name && a.Kind == b.Kind && slices.Equal(a.Times, b.Times) &&
			slices.Equal(a.Codes, b.Codes) && slices.Equal(a.Values, b.Values) &&
			slices.EqualFunc(a.Numbers, b.Numbers, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
	})
}

func TestSizesAndRates(t *testing.T) {
	for _, c := range []*Company{company(), Simulate(Options{Accounts: 2000, Seed: 1})} {
		for _, x := range []struct {
			label      string
			rows       *datasets.Table
			low, high  float64
			perAccount float64 // rows per account, at least
		}{
			{"converted", c.Conversion, 0.20, 0.28, 0.9},
			{"churned", c.Churn, 0.05, 0.10, 2},
			{"upsold", c.Upsell, 0.05, 0.11, 2},
		} {
			if rate := mean(x.rows.Column(x.label).Numbers); rate < x.low || rate > x.high {
				t.Errorf("seed %d: rate of %s %.3f, want %v to %v", c.Seed, x.label, rate, x.low, x.high)
			}
			if n := float64(x.rows.Rows()) / float64(c.Accounts.Rows()); n < x.perAccount {
				t.Errorf("seed %d: %.2f rows of %s per account, want %v", c.Seed, n, x.label, x.perAccount)
			}
		}
	}
}

// truthOf gives the probabilities of one finished table, checked to be of its rows.
func truthOf(t *testing.T, c *Company, name string, rows *datasets.Table) []float64 {
	t.Helper()
	var out []float64
	at := 0
	for i := range c.Truth.Rows() {
		if c.Truth.Column("table").At(i).Text != name {
			continue
		}
		for _, key := range []string{"account_id", "moment"} {
			if got, want := c.Truth.Column(key).At(i), rows.Column(key).At(at); got != want {
				t.Fatalf("truth of %s, row %d: %s %v, the table has %v", name, at, key, got, want)
			}
		}
		out = append(out, c.Truth.Column("probability").Numbers[i])
		at++
	}
	if at != rows.Rows() {
		t.Fatalf("truth has %d rows of %s, the table %d", at, name, rows.Rows())
	}
	return out
}

// TestTruthIsCalibrated compares the outcomes of all rows, and of each tenth of
// them by true probability, with what it promises. Of each customer only every fourth row is
// taken: horizons do not overlap then, so that given the past each outcome is a
// draw of its own and the variance of the sum is the sum of p (1 - p).
func TestTruthIsCalibrated(t *testing.T) {
	c := company()
	for _, x := range []struct {
		name, label string
		rows        *datasets.Table
	}{{"conversion", "converted", c.Conversion}, {"churn", "churned", c.Churn}, {"upsell", "upsold", c.Upsell}} {
		p := truthOf(t, c, x.name, x.rows)
		y := x.rows.Column(x.label).Numbers
		var rows []int
		for i := range y {
			if p[i] < 0 || p[i] > 1 {
				t.Fatalf("%s, row %d: probability %v", x.name, i, p[i])
			}
			m := monthOf(x.rows.Column("moment").Times[i])
			if x.name == "conversion" || m%4 == 0 {
				rows = append(rows, i)
			}
		}
		slices.SortStableFunc(rows, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
		check := func(what string, rows []int, limit float64) {
			var promised, came, variance float64
			for _, i := range rows {
				promised, came, variance = promised+p[i], came+y[i], variance+p[i]*(1-p[i])
			}
			if off := math.Abs(came - promised); off > limit*math.Sqrt(variance)+1e-9 {
				t.Errorf("%s, %s: %v outcomes, %.1f promised, standard deviation %.1f", x.name, what, came, promised, math.Sqrt(variance))
			}
		}
		check("all", rows, 2.5)
		for k := range 10 {
			check(fmt.Sprint("tenth ", k), rows[k*len(rows)/10:(k+1)*len(rows)/10], 3.5)
		}
		if a := rankedRight(p, y); a < 0.78 || a > 0.88 {
			t.Errorf("%s: ROC AUC of the truth %.3f", x.name, a)
		}
	}
}

// rankedRight is the ROC AUC, by its definition over pairs.
func rankedRight(p, y []float64) float64 {
	var right, pairs float64
	for i := range p {
		if y[i] == 0 {
			continue
		}
		for k := range p {
			if y[k] == 1 {
				continue
			}
			pairs++
			if p[i] > p[k] {
				right++
			} else if p[i] == p[k] {
				right += 0.5
			}
		}
	}
	return right / pairs
}

func mean(xs []float64) float64 {
	var sum float64
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

// TestChances compares with a walk down every path of states and outcomes.
func TestChances(t *testing.T) {
	w := newWorld(5)
	for number := range 150 {
		r := stream(5, uint64(number))
		p := drawProfile(r, historyStart)
		c := becomeCustomer(r, &p, historyStart+int64(number)*5*day+second)
		m := c.firstMonth + r.IntN(9)
		b := prospect{health(r.IntN(int(healths))), fullness(r.IntN(int(fullnesses))), uint8(r.IntN(quietMonths + 1)), chance(r, 0.3)}
		now := lived{before: b, arm: arm(r.IntN(3)), seats: 1 + r.IntN(5)}
		for c.firstMonth-1+len(c.lived) < m {
			c.lived = append(c.lived, lived{})
		}
		c.lived = append(c.lived, now)
		until := monthStart(m) + (62+int64(r.IntN(29)))*day
		if number%5 == 0 {
			until = monthStart(m + 2)
		}
		churn, upsell := c.chances(&w, &p, len(c.lived)-1, until)
		wantChurn, wantUpsell := everyPath(&w, &c, &p, b, now.arm, now.seats, m, until, false, m)
		if math.Abs(churn-wantChurn) > 1e-12 || math.Abs(upsell-wantUpsell) > 1e-12 {
			t.Fatalf("customer %d: churn %v, want %v; upsell %v, want %v", number, churn, wantChurn, upsell, wantUpsell)
		}
	}
}

// everyPath adds up the probability of all paths that end in churn, and of all
// that end in a customer who pays more, told by the laws of a customer's life: from
// the state before month m on. A change of seats keeps them for three months, so that
// none is followed by another.
func everyPath(w *world, c *customer, p *profile, b prospect, a arm, seats, m int, until int64, had bool, first int) (churn, upsell float64) {
	if monthStart(m) >= until {
		if had {
			return 0, 1
		}
		return 0, 0
	}
	// The share of the month's instants that come before the end of the horizon.
	share := 1.0
	if seconds := (monthStart(m+1) - monthStart(m)) / second; until < monthStart(m+1) {
		n := 0
		for k := int64(1); k < seconds; k += 60 * 60 { // by hours, borders apart
			if offMidnight(monthStart(m)+k*second) < until {
				n++
			}
		}
		share = float64(n) * 60 * 60 / float64(seconds-1)
	}
	armsNow := map[arm]float64{a: 1}
	if m > first && campaign(m) {
		armsNow = map[arm]float64{none: 0.5, control: 0.25, treated: 0.25}
	}
	for arm, pa := range armsNow {
		for h := range healths {
			ph := healthMoves[b.health][h]
			shocked := 0.0
			if m > first {
				if w.outage(m-1) != nil {
					shocked = outageShare
				}
			} else if b.affected {
				shocked = 1
			}
			ph *= 1 - shocked*outageShock
			if h == troubled {
				ph += shocked * outageShock
			}
			for f := range fullnesses {
				here := pa * ph * fullnessMoves[h][b.fullness][f]
				if here == 0 {
					continue
				}
				leave, early := c.churnHazard(p, h, m, arm), share
				if at, due := c.renewal(m); c.annual && due {
					early = 0
					if at < until {
						early = 1
					}
				}
				churn += here * leave * early
				if had { // those who leave after the horizon pay more at its end
					upsell += here * leave * (1 - early)
				}
				more, less := 0.0, 0.0
				if b.rest == 0 {
					more = c.upsellHazard(p, h, f, m)
					less = (1 - more) * contractionHazard(h, seats)
				}
				for _, next := range []struct {
					reach float64
					b     prospect
					had   bool
				}{
					{here * (1 - leave) * more * share, prospect{h, loose, 3, false}, true},
					{here * (1 - leave) * less * share, prospect{h, loose, 3, false}, had},
					{here * (1 - leave) * (1 - (more+less)*share), prospect{h, f, max(b.rest, 1) - 1, false}, had},
				} {
					if next.reach > 0 {
						x, y := everyPath(w, c, p, next.b, arm, seats, m+1, until, next.had, first)
						churn, upsell = churn+next.reach*x, upsell+next.reach*y
					}
				}
			}
		}
	}
	return churn, upsell
}

func TestMovesAreProbabilities(t *testing.T) {
	for h := range healths {
		if s := sum(healthMoves[h][:]); math.Abs(s-1) > 1e-12 {
			t.Errorf("the moves of health %d sum to %v", h, s)
		}
		for f := range fullnesses {
			if s := sum(fullnessMoves[h][f][:]); math.Abs(s-1) > 1e-12 {
				t.Errorf("the moves of fullness %d at health %d sum to %v", f, h, s)
			}
		}
	}
}

func sum(xs []float64) float64 { return mean(xs) * float64(len(xs)) }

// TestFiveIndustriesMatter asks every law of the company about every industry.
func TestFiveIndustriesMatter(t *testing.T) {
	var matter []string
	names := map[string]bool{}
	for k, name := range industries {
		names[name] = true
		p := profile{industry: k}
		none := profile{industry: 2} // manufacturing
		c := customer{plan: pro}
		if conversionLogit(&p, firstWeek{}) != conversionLogit(&none, firstWeek{}) ||
			c.churnHazard(&p, steady, 1, control) != c.churnHazard(&none, steady, 1, control) ||
			c.upsellHazard(&p, steady, snug, 1) != c.upsellHazard(&none, steady, snug, 1) {
			matter = append(matter, name)
		}
	}
	if want := []string{"software", "retail", "education", "marketing", "government"}; len(names) != 55 || !slices.Equal(matter, want) {
		t.Errorf("%d industries, of which %v matter, want %v", len(names), matter, want)
	}
	used := company().Accounts.Column("industry")
	if len(used.Values) < 50 {
		t.Errorf("only %d industries in 4000 accounts", len(used.Values))
	}
}
