package online

import (
	"context"
	"testing"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Of a forgotten account nothing is left: what it did, what its users did, and what was
// done by an account that became a part of it. What another account has is as it was.
func TestForgetTakesAllOfOneAccount(t *testing.T) {
	ctx := context.Background()
	p := planOf(t, bounded).Project()
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		s := open(t)
		a := NewAccounts(s, DefaultCache)
		start := int64(1741e12)
		text := func(k, v string) map[string]datasets.Value {
			return map[string]datasets.Value{k: {Kind: datasets.Text, Text: v}}
		}
		one := func(source, account, id string, values map[string]datasets.Value) facts.Fact {
			return facts.Fact{Source: source, Account: account, ID: id, Occurred: start, Arrived: start, End: datasets.MissingTime, Values: values}
		}
		list := []facts.Fact{
			one("users", "A", "u1", text("user", "own")), one("users", "A", "u2", text("user", "shared")), one("users", "B", "u3", text("user", "shared")),
			one("events", "A", "e1", text("event", "login")), one("events", "", "e2", text("user", "own")), one("events", "", "e3", text("user", "shared")),
			one("merges", "A", "m1", text("from", "part")), one("events", "part", "e4", text("event", "login")), one("events", "B", "e5", text("event", "login")),
		}
		if err := a.Append(ctx, []*spec.Project{p}, list); err != nil {
			t.Fatal(err)
		}
		before, err := a.Facts(ctx, p, "B", nil)
		if err != nil {
			t.Fatal(err)
		}
		removed, err := a.Forget(ctx, p, "A")
		if err != nil || removed != 9 { // u1, u2, e1, m1 and the copies of three; e2; e4
			t.Fatalf("%d versions were taken out, %v", removed, err)
		}
		for _, account := range []string{"A", "part"} {
			if list, err := a.Facts(ctx, p, account, nil); err != nil || len(list) != 0 {
				t.Errorf("of %s are left %v, %v", account, list, err)
			}
		}
		for _, key := range []string{"A", "part", userMark + "own", fromMark + "part"} {
			if list := factsIn(t, s, key); len(list) != 0 {
				t.Errorf("under %q are left %v", key, list)
			}
		}
		after, err := a.Facts(ctx, p, "B", nil)
		if err != nil || len(after) != 3 || len(before) != 4 { // u3, e5, e3; before, that the user was A's too
			t.Errorf("B had %d facts and has %d, %v", len(before), len(after), err)
		}
		if again, err := a.Forget(ctx, p, "A"); err != nil || again != 0 {
			t.Errorf("the second time %d are taken out, %v", again, err)
		}
	})
}
