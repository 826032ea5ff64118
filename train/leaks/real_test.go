package leaks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/models"
	"propensity/train/leaks"
)

// schema is what schema.json says of a table.
type schema struct {
	Label       string   `json:"label"`
	Positive    string   `json:"positive"`
	Numeric     []string `json:"numeric"`
	Categorical []string `json:"categorical"`
	MaxRows     int      `json:"max_rows"`
}

// realTable is a public table as the court sees it: every column but the label.
func realTable(t *testing.T, name string) leaks.Input {
	t.Helper()
	dir := os.Getenv("PROPENSITY_SHARED")
	if dir == "" {
		t.Skip("PROPENSITY_SHARED names no directory of public tables")
	}
	b, err := os.ReadFile(filepath.Join(dir, "data", name, "schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]datasets.Kind{}
	for _, c := range s.Numeric {
		kinds[c] = datasets.Number
	}
	for _, c := range s.Categorical {
		kinds[c] = datasets.Category
	}
	table, err := datasets.Read(filepath.Join(dir, "data", name, "table.csv"), datasets.ReadOptions{Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	if n := s.MaxRows; n > 0 && n < table.Rows() {
		rows := make([]int, n)
		for i := range rows {
			rows[i] = i
		}
		table = table.Take(rows)
	}
	in := leaks.Input{LabelName: s.Label, Seed: 1, Column: columnsOf(table.Columns)}
	label := table.Column(s.Label)
	for i := range table.Rows() {
		y := 0.0
		if label.At(i).String() == s.Positive {
			y = 1
		}
		in.Label = append(in.Label, y)
	}
	for _, c := range table.Names() {
		if c != s.Label {
			in.Names = append(in.Names, c)
		}
	}
	return in
}

// hideNames gives every column a name that says nothing, in the same order.
func hideNames(in leaks.Input) (hidden leaks.Input, real map[string]string) {
	hidden, real = in, map[string]string{}
	hidden.Names = nil
	for j, c := range in.Names {
		name := "c" + string(rune('A'+j/26)) + string(rune('A'+j%26))
		hidden.Names = append(hidden.Names, name)
		real[name] = c
	}
	hidden.Column = func(name string) (datasets.Column, error) { return in.Column(real[name]) }
	hidden.LabelName = "y"
	return hidden, real
}

func examine(t *testing.T, in leaks.Input) []models.Leak {
	t.Helper()
	found, err := leaks.Examine(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range found {
		t.Log(leaks.Describe(l))
	}
	return found
}

// known are the leaks that the tables' description names, and the outcomes that
// one of them has besides its label.
func known(table string) (planted, others []string) {
	switch table {
	case "lead_scoring":
		return []string{"Tags", "Lead Quality", "Lead Profile", "Last Notable Activity"}, nil
	case "bank_additional":
		return []string{"duration"}, nil
	case "hillstrom":
		return nil, []string{"conversion", "spend"}
	}
	return nil, nil
}

// Every known leak is among the first five of its table; no honest column is left
// out, and only two answers that many forms lack are even suspect.
func TestRealTables(t *testing.T) {
	for _, name := range []string{"telco_churn", "bank_additional", "lead_scoring", "health_cross_sell", "hillstrom", "adult"} {
		for _, inOrder := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, inOrder), func(t *testing.T) {
				in := realTable(t, name)
				in.InOrder = inOrder
				planted, others := known(name)
				found := examine(t, in)
				for _, c := range planted {
					if at := slices.IndexFunc(found, func(l models.Leak) bool { return l.Column == c }); at < 0 || at >= 5 {
						t.Errorf("%s is in place %d of %d", c, at+1, len(found))
					}
				}
				for _, l := range found {
					honest := !slices.Contains(planted, l.Column) && !slices.Contains(others, l.Column)
					formAnswer := strings.HasPrefix(l.Column, "What ")
					if honest && (l.Verdict == models.LeakProven || !l.Kept || !formAnswer) {
						t.Errorf("an honest column: %s", leaks.Describe(l))
					}
				}
				if name == "bank_additional" && (len(found) == 0 || found[0].Kept) {
					t.Error("the call's duration is not left out")
				}
			})
		}
	}
}

// What the values say by themselves, without a name to go by.
func TestRealTablesWithoutNames(t *testing.T) {
	for table, columns := range map[string][]string{"lead_scoring": {"Tags", "Lead Quality", "Lead Profile"}, "bank_additional": {"duration"}} {
		t.Run(table, func(t *testing.T) {
			in, real := hideNames(realTable(t, table))
			var order []string
			for _, l := range examine(t, in) {
				order = append(order, real[l.Column])
				if l.Verdict == models.LeakProven {
					t.Errorf("%s is proven", real[l.Column])
				}
			}
			if len(order) == 0 || order[0] != columns[0] {
				t.Errorf("first of %q, not %q", order, columns[0])
			}
			for _, c := range columns {
				if at := slices.Index(order, c); at < 0 || at >= 5 {
					t.Errorf("%s is in place %d of %q", c, at+1, order)
				}
			}
		})
	}
}
