package leaks_test

import (
	"fmt"
	"slices"
	"testing"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/models"
	"propensity/train/leaks"
)

// columnsOf reads columns that are in memory.
func columnsOf(columns []datasets.Column) func(name string) (datasets.Column, error) {
	t := &datasets.Table{Columns: columns}
	return func(name string) (datasets.Column, error) {
		if c := t.Column(name); c != nil {
			return *c, nil
		}
		return datasets.Column{}, fmt.Errorf("no column %q", name)
	}
}

func signUps(o sample.SignUpOptions) (in leaks.Input, planted []sample.PlantedLeak) {
	s := sample.SignUps(o)
	in = leaks.Input{LabelName: "converted", Seed: o.Seed, Column: columnsOf(s.Table.Columns)}
	for i := range s.Table.Columns {
		switch c := &s.Table.Columns[i]; c.Name {
		case "account_id":
		case "moment":
			in.Moments = c.Times
		case "converted":
			in.Label = c.Numbers
		default:
			in.Names = append(in.Names, c.Name)
		}
	}
	return in, s.Leaks
}

// In the simulated company every planted leak is found for what it is, and nothing else is.
func TestPlantedLeaks(t *testing.T) {
	for seed := range uint64(4) {
		in, planted := signUps(sample.SignUpOptions{Seed: seed, Leaks: true, Sorted: seed%2 == 1, Interacting: seed >= 2})
		found := examine(t, in)
		for _, p := range planted {
			at := slices.IndexFunc(found, func(l models.Leak) bool { return l.Column == p.Column })
			if at < 0 {
				t.Errorf("seed %d: %s is not found", seed, p.Column)
				continue
			}
			l := found[at]
			is := slices.ContainsFunc(l.Evidence, func(e models.Evidence) bool { return e.Kind == p.Kind })
			if !is || l.Verdict != p.Verdict || l.Kept != (p.Verdict == models.LeakSuspect) {
				t.Errorf("seed %d: want %s by %s; %s", seed, p.Verdict, p.Kind, leaks.Describe(l))
			}
		}
		if len(found) != len(planted) {
			t.Errorf("seed %d: %d found of %d", seed, len(found), len(planted))
		}
	}
}

func TestNoLeaks(t *testing.T) {
	for seed := range uint64(4) {
		for _, rows := range []int{400, 20000} {
			in, _ := signUps(sample.SignUpOptions{Seed: seed, Rows: rows})
			if found := examine(t, in); len(found) > 0 {
				t.Errorf("seed %d, %d rows: %v", seed, rows, found)
			}
		}
	}
}
