package facts_test

import (
	"errors"
	"slices"
	"testing"

	"propensity/features/expr"
	"propensity/features/facts"
)

// A fact that the where of its source does not keep is not there, as in a file; so is
// not a version of one, and the version before it stays.
func TestAssembleKeepsWhatWhereKeeps(t *testing.T) {
	p := project()
	where, err := expr.CompileCondition(`event != "test" && n > 1.0`, []expr.Var{{Name: "event", Type: expr.Text}, {Name: "n", Type: expr.Number}})
	if err != nil {
		t.Fatal(err)
	}
	p.Sources[0].Where = where
	event := func(id, what string, n float64, arrived int64) facts.Fact {
		return facts.Fact{Source: "events", Account: "A", ID: id, Occurred: 1, Arrived: arrived, Values: values{"event": text(what), "n": number(n)}}
	}
	missing := event("4", "login", 0, 1)
	delete(missing.Values, "n")
	part, err := facts.Assemble(p, nil, []facts.Fact{
		event("1", "login", 2, 1), event("2", "test", 3, 1), event("3", "login", 1, 1), missing,
		event("5", "login", 5, 1), event("5", "login", 0, 9),
		{Source: "subscriptions", Account: "A", ID: "1", Occurred: 1, Arrived: 1, Values: values{"plan": text("test")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if f := part.Sources[0]; !slices.Equal(f.Columns[1].Numbers, []float64{2, 5}) || f.Until != nil || part.Sources[1].Rows() != 1 {
		t.Errorf("kept %v until %v, and %d subscriptions", f.Columns[1].Numbers, f.Until, part.Sources[1].Rows())
	}
	if _, err := facts.Assemble(p, nil, []facts.Fact{{Source: "events", Account: "A", Values: values{"n": text("many")}}}); !errors.Is(err, facts.ErrFact) {
		t.Errorf("a number that is text: %v", err)
	}
}
