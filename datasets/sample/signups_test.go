package sample

import (
	"cmp"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"gonum.org/v1/gonum/mat"

	"propensity/datasets"
)

var signUpsOf = [2]func() *SignUpTable{
	sync.OnceValue(func() *SignUpTable { return SignUps(SignUpOptions{Rows: 40000, Seed: 4}) }),
	sync.OnceValue(func() *SignUpTable { return SignUps(SignUpOptions{Rows: 40000, Seed: 4, Interacting: true}) }),
}

func TestSignUpsAreDeterministic(t *testing.T) {
	o := SignUpOptions{Rows: 500, Seed: 3, Interacting: true, Leaks: true}
	one := SignUps(o)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	two := SignUps(o)
	if !sameBits(one.Table, two.Table) || !slices.Equal(one.Probability, two.Probability) || !slices.Equal(one.Leaks, two.Leaks) {
		t.Error("the same options, another table")
	}
	if len(one.Table.Notes) != 1 || !strings.HasPrefix(one.Table.Notes[0], "simulated") {
		t.Errorf("notes %q do not say that the table is simulated", one.Table.Notes)
	}
	o.Seed++
	if sameBits(one.Table, SignUps(o).Table) {
		t.Error("the seed changes nothing")
	}
}

// TestSignUpSwitches holds every switch to what it is to change.
func TestSignUpSwitches(t *testing.T) {
	plain := SignUps(SignUpOptions{Rows: 800, Seed: 5})
	names := plain.Table.Names()
	features := names[:len(names)-1]
	only := func(s *SignUpTable, names []string) *datasets.Table {
		out := &datasets.Table{}
		for _, name := range names {
			out.Columns = append(out.Columns, *s.Table.Column(name))
		}
		return out
	}
	if !slices.IsSorted(plain.Table.Column("moment").Times) {
		t.Error("the rows are not in order of time")
	}
	interacting := SignUps(SignUpOptions{Rows: 800, Seed: 5, Interacting: true})
	if !sameBits(only(plain, features), only(interacting, features)) {
		t.Error("the interacting truth has other features")
	}
	if slices.Equal(plain.Probability, interacting.Probability) {
		t.Error("the interacting truth is the linear one")
	}
	leaky := SignUps(SignUpOptions{Rows: 800, Seed: 5, Leaks: true})
	if !sameBits(plain.Table, only(leaky, names)) || !slices.Equal(plain.Probability, leaky.Probability) {
		t.Error("leaks change other columns")
	}
	sorted := SignUps(SignUpOptions{Rows: 800, Seed: 5, Sorted: true})
	order := make([]int, 800)
	for i := range order {
		order[i] = i
	}
	y := plain.Table.Column("converted").Numbers
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(y[b], y[a]) })
	for k, i := range order {
		if sorted.Table.Column("account_id").At(k) != plain.Table.Column("account_id").At(i) || sorted.Probability[k] != plain.Probability[i] {
			t.Fatalf("sorted by the label, row %d is not row %d of the others", k, i)
		}
	}
}

func TestSignUpTruthIsCalibrated(t *testing.T) {
	for _, table := range signUpsOf {
		s := table()
		y := s.Table.Column("converted").Numbers
		if rate := mean(s.Probability); rate < 0.19 || rate > 0.21 {
			t.Errorf("interactions %v: base rate %.4f", s.InteractionShare, rate)
		}
		order := byProbability(s.Probability)
		for k := range 10 {
			var promised, came, variance float64
			for _, i := range order[k*len(order)/10 : (k+1)*len(order)/10] {
				p := s.Probability[i]
				promised, came, variance = promised+p, came+y[i], variance+p*(1-p)
			}
			if off := math.Abs(came - promised); off > 3.5*math.Sqrt(variance) {
				t.Errorf("interactions %v, tenth %d: %v outcomes, %.1f promised", s.InteractionShare, k, came, promised)
			}
		}
		if a := rankedRight(s.Probability[:3000], y[:3000]); a < 0.77 || a > 0.90 {
			t.Errorf("interactions %v: ROC AUC of the truth %.3f", s.InteractionShare, a)
		}
	}
}

func byProbability(p []float64) []int {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	return order
}

// terms is the design of every additive model that is linear in the numbers: a 1,
// the numbers with an indicator of their missing values, and one for every level
// but the first. It also names each.
func terms(table *datasets.Table, rows int) (x *mat.Dense, names []string) {
	columns := [][]float64{slices.Repeat([]float64{1}, rows)}
	names = []string{""}
	add := func(name string, value func(i int) float64) {
		xs := make([]float64, rows)
		for i := range xs {
			xs[i] = value(i)
		}
		if slices.Min(xs) < slices.Max(xs) {
			columns, names = append(columns, xs), append(names, name)
		}
	}
	is := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	for k := range table.Columns {
		switch c := &table.Columns[k]; c.Kind {
		case datasets.Number, datasets.Boolean:
			if c.Name == "converted" {
				continue
			}
			add(c.Name, func(i int) float64 {
				if math.IsNaN(c.Numbers[i]) {
					return 0
				}
				return c.Numbers[i]
			})
			add(c.Name+"=missing", func(i int) float64 { return is(math.IsNaN(c.Numbers[i])) })
		case datasets.Category:
			for code := 1; code < len(c.Values); code++ {
				add(c.Name+"="+c.Values[code], func(i int) float64 { return is(c.Codes[i] == int32(code)) })
			}
			add(c.Name+"=missing", func(i int) float64 { return is(c.Codes[i] < 0) })
		}
	}
	x = mat.NewDense(rows, len(columns), nil)
	for k, xs := range columns {
		x.SetCol(k, xs)
	}
	return x, names
}

// TestSignUpLogOdds fits the true log-odds by least squares on what the rows show:
// nothing is left over where the truth is linear, and the stated share of the
// variance where it interacts.
func TestSignUpLogOdds(t *testing.T) {
	const rows = 12000
	for _, table := range signUpsOf {
		s := table()
		x, names := terms(s.Table, rows)
		z := mat.NewVecDense(rows, nil)
		for i := range rows {
			p := s.Probability[i]
			z.SetVec(i, math.Log(p/(1-p)))
		}
		var weights, fitted mat.VecDense
		if err := weights.SolveVec(x, z); err != nil {
			t.Fatal(err)
		}
		fitted.MulVec(x, &weights)
		center, left, all := mat.Sum(z)/rows, 0.0, 0.0
		for i := range rows {
			left += (z.AtVec(i) - fitted.AtVec(i)) * (z.AtVec(i) - fitted.AtVec(i))
			all += (z.AtVec(i) - center) * (z.AtVec(i) - center)
		}
		t.Logf("no additive model has %.4f of the variance %.3f", left/all, all/rows)
		if s.InteractionShare != 0 {
			if math.Abs(left/all-s.InteractionShare) > 0.01 {
				t.Errorf("interactions are %.4f of the variance, said to be %v", left/all, s.InteractionShare)
			}
			continue
		}
		if left/all > 1e-20 {
			t.Errorf("%v of the variance is not linear", left/all)
		}
		// Every weight is the effect that is told, and there is no other. Levels stand
		// against the first of their column.
		told := map[string]float64{}
		for _, e := range s.Effects {
			switch {
			case e.Missing:
				told[e.Column+"=missing"] = e.LogOdds
			case e.Level != "":
				told[e.Column+"="+e.Level] = e.LogOdds
			default:
				told[e.Column] = e.LogOdds
			}
		}
		l := newSignUpLaws()
		told["team_size=missing"] += told["team_size"] * l.teamMean // terms has 0 there
		for k, name := range names[1:] {
			want := told[name]
			column, level, _ := strings.Cut(name, "=")
			if c := s.Table.Column(column); c.Kind == datasets.Category {
				want -= told[column+"="+c.Values[0]]
			}
			if got := weights.AtVec(k + 1); math.Abs(got-want) > 1e-9 {
				t.Errorf("%s weighs %v, told to be %v", name, got, want)
			}
			if column == "industry" && slices.Contains(s.Industries, level) != (told[name] != 0) {
				t.Errorf("%s: effect %v, industries that matter %v", name, told[name], s.Industries)
			}
		}
		if len(told) != 9+3+5+3+5 || len(s.Industries) != 5 {
			t.Errorf("%d effects, of %d industries", len(told), len(s.Industries))
		}
	}
}

// TestSignUpInteractions mixes the usage of one account with the form of another.
// What one block adds cancels in the second difference, whose mean square is four
// times the variance of what the two have only together.
func TestSignUpInteractions(t *testing.T) {
	const pairs = 100000
	l := newSignUpLaws()
	r := rand.New(rand.NewPCG(1, 2))
	var sum, squares, together float64
	for range pairs {
		var f [2]form
		var u [2]usage
		for k := range f {
			f[k] = l.drawForm(r)
			u[k] = l.drawUsage(r, f[k].device)
		}
		var z [2][2]float64
		for i := range f {
			for k := range u {
				z[i][k] = l.logOdds(&f[i], &u[k], true)
				sum, squares = sum+z[i][k], squares+z[i][k]*z[i][k]
			}
		}
		d := z[0][0] - z[0][1] - z[1][0] + z[1][1]
		together += d * d / 4 / pairs
	}
	variance := squares/4/pairs - (sum/4/pairs)*(sum/4/pairs)
	t.Logf("variance %.3f, of which %.4f of both together", variance, together/variance)
	if math.Abs(together/variance-interactionShare) > 0.005 {
		t.Errorf("interactions are %.4f of the variance, said to be %v", together/variance, interactionShare)
	}
}

func TestSignUpLaws(t *testing.T) {
	l := newSignUpLaws()
	for name, c := range map[string]*counts{"logins": &l.logins, "reports": &l.reports, "invites": &l.invites, "tickets": &l.tickets, "team": &l.team[3]} {
		last := c.cumulative[len(c.cumulative)-1]
		if math.Abs(last-1) > 1e-12 || !slices.IsSorted(c.cumulative) {
			t.Errorf("%s: the probabilities sum to %v", name, last)
		}
		if c.quantile(0) != 0 || c.quantile(1) != float64(len(c.cumulative)-1) {
			t.Errorf("%s: quantiles %v to %v", name, c.quantile(0), c.quantile(1))
		}
	}
	s := signUpsOf[0]()
	for name, c := range map[string]*counts{"logins_7d": &l.logins, "reports_7d": &l.reports, "invites_7d": &l.invites, "tickets_7d": &l.tickets} {
		xs := s.Table.Column(name).Numbers
		var zeros float64
		for _, x := range xs {
			if x == 0 {
				zeros++
			}
		}
		n := float64(len(xs))
		if off := math.Abs(mean(xs)-c.mean) / (c.spread / math.Sqrt(n)); off > 4 {
			t.Errorf("%s: mean %v, by its law %v", name, mean(xs), c.mean)
		}
		if p := c.cumulative[0]; math.Abs(zeros/n-p) > 4*math.Sqrt(p*(1-p)/n) {
			t.Errorf("%s: %v of zeros, by its law %v", name, zeros/n, p)
		}
	}
	missing := map[string]float64{}
	for _, name := range []string{"role", "team_size", "minutes_7d"} {
		c := s.Table.Column(name)
		for i := range c.Len() {
			if c.At(i).Missing() {
				missing[name] += 1 / float64(c.Len())
			}
		}
	}
	for name, want := range map[string]float64{"role": 0.1, "team_size": 0.25, "minutes_7d": 0.8*0.05 + 0.2*0.35} {
		if math.Abs(missing[name]-want) > 0.01 {
			t.Errorf("%s: missing in %.3f, want %.3f", name, missing[name], want)
		}
	}
}
