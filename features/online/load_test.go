package online

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/spec"
)

// write spells facts of a source as a CSV file with the given columns.
func writeFacts(t *testing.T, dir, source string, list []facts.Fact, columns ...string) {
	t.Helper()
	var b strings.Builder
	b.WriteString(strings.Join(columns, ",") + "\n")
	for _, f := range list {
		if f.Source != source {
			continue
		}
		cells := make([]string, len(columns))
		for i, c := range columns {
			switch c {
			case "account":
				cells[i] = f.Account
			case "id":
				cells[i] = f.ID
			case "at", "started":
				cells[i] = datasets.FormatTime(f.Occurred)
			case "seen":
				cells[i] = datasets.FormatTime(f.Arrived)
			case "ended":
				if f.End != datasets.MissingTime {
					cells[i] = datasets.FormatTime(f.End)
				}
			default:
				cells[i] = f.Values[c].String()
			}
		}
		b.WriteString(strings.Join(cells, ",") + "\n")
	}
	if err := os.WriteFile(filepath.Join(dir, source[:1]+".csv"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The rows of a store that was loaded from files, twice, are those that the files give.
func TestLoadedRowsAreThoseOfTheFiles(t *testing.T) {
	ctx := context.Background()
	text := insertAfter(bounded, "features:", "\n  - {name: clicks, from: clicks, agg: sum, value: weight, windows: [28d]}\n  - {name: size, from: accounts, agg: last, value: size}")
	text = insertAfter(text, "sources:", "\n  clicks: {path: c.csv, time: at, account: account, user: user, types: {weight: number, page: category}}\n  accounts: {path: a.csv, types: {size: number}}")
	text = strings.Replace(text, "{path: users.csv,", "{path: u.csv,", 1)
	text = strings.Replace(text, "usage: {path: u.csv,", "usage: {path: x.csv,", 1)
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		if kindOf(t) == "postgres" || kindOf(t) == "redis" {
			return // which hold the same facts as the others, and take longer
		}
		compared := 0
		for seed := range uint64(4) {
			rng := rand.New(rand.NewPCG(seed, 7))
			start := int64(1741e12)
			first, list := companyOf(rng, start)
			list = append(first, list...)
			for i := range list {
				if list[i].Source == "usage" {
					list[i].Source = "x"
				}
			}
			for i := range 30 { // some of one instant, without ids
				f := fact([]string{"A", "B", "C", ""}[i%4], "", start+int64(rng.IntN(4))*day, 0, "")
				f.Source, f.Values = "clicks", map[string]datasets.Value{"weight": {Kind: datasets.Number, Number: rng.NormFloat64()}, "user": {Kind: datasets.Text, Text: "u1"}}
				list = append(list, f)
			}
			list = append(list, facts.Fact{Source: "accounts", Account: "A", Values: map[string]datasets.Value{"size": {Kind: datasets.Number, Number: 5}}})
			dir := t.TempDir()
			writeFacts(t, dir, "events", list, "account", "user", "id", "at", "seen", "event", "seconds", "ok")
			writeFacts(t, dir, "x", list, "account", "id", "at", "seats", "tier")
			writeFacts(t, dir, "subscriptions", list, "account", "id", "started", "ended", "mrr", "plan", "reason")
			writeFacts(t, dir, "users", list, "account", "user")
			writeFacts(t, dir, "merges", list, "account", "id", "at", "from")
			writeFacts(t, dir, "clicks", list, "account", "user", "at", "weight", "page")
			writeFacts(t, dir, "accounts", list, "account", "size")
			project := func() *spec.Project {
				p, err := spec.Parse([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			p := project()
			o := facts.ReadOptions{Dir: dir, Now: start + 1000*day}
			c, err := facts.Read(ctx, p, o)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := build.Compile(p)
			if err != nil {
				t.Fatal(err)
			}
			a := NewAccounts(storeOf(t, kindOf(t))(t), DefaultCache)
			for range 2 {
				loaded, err := a.Load(ctx, project(), o)
				if err != nil || loaded.Facts < 75 {
					t.Fatalf("%+v, %v", loaded, err)
				}
			}
			for i := range c.Parts() {
				part, err := c.Part(i)
				if err != nil {
					t.Fatal(err)
				}
				for k, account := range part.Accounts {
					for moment := start; moment < start+70*day; moment += 5 * day {
						got, err := a.Row(ctx, plan, account, moment)
						if errors.Is(err, ErrMerged) && part.Merged[k] < moment || errors.Is(err, ErrUnknown) && !known(part, k, moment) {
							continue
						}
						if err != nil {
							t.Fatal(err)
						}
						want, err := plan.Rows(part, []build.Moment{{Account: k, At: moment}})
						if err != nil {
							t.Fatal(err)
						}
						if err := sameRow(got, want); err != nil {
							t.Fatalf("seed %d, account %s at %s: %v", seed, account, datasets.FormatTime(moment), err)
						}
						compared++
					}
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if compared < 100 {
			t.Errorf("%d rows were compared", compared)
		}
	})
}

// Ids of facts without one are the same again, and leave equal facts in their order.
func TestListNamesWhatHasNoName(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "e.csv"), []byte("account,at,x\nA,2025-01-01,3\nA,2025-01-01,1\nB,2025-01-01,1\nA,2025-01-01,3\nA,2025-01-02,0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := spec.Parse([]byte("version: 1\naccount: account\nsources: {events: {path: e.csv, time: at}}\nfeatures: [{name: x, from: events, agg: sum, value: x}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := facts.Read(context.Background(), p, facts.ReadOptions{Dir: dir, Now: 2e15})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []string
	for i := range c.Parts() {
		list, err := c.List(i)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			got = append(got, fmt.Sprint(f.Account, f.ID, "=", f.Values["x"].Number))
		}
	}
	slices.Sort(got)
	want := []string{"A#1735689600000000.000000=1", "A#1735689600000000.000001=3", "A#1735689600000000.000002=3", "A#1735776000000000.000000=0", "B#1735689600000000.000000=1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
