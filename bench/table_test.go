package main

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"propensity/datasets"
)

func TestTableIsTheOneDescribed(t *testing.T) {
	const rows = 60_000
	table := newMaker(tableSeed).chunk(0, rows)
	if table.Rows() != rows || len(table.Columns) != 41 {
		t.Fatalf("%d rows, %d columns", table.Rows(), len(table.Columns))
	}
	// mean of the rows that are there, and the share that is not
	describe := func(name string) (mean, missing float64) {
		n := 0
		for _, x := range table.Column(name).Numbers {
			if !math.IsNaN(x) {
				mean, n = mean+x, n+1
			}
		}
		return mean / float64(n), 1 - float64(n)/rows
	}
	// A count has the rate exp(0.15 i + s z), z standard normal, so the mean
	// exp(0.15 i + s^2/2) of the rows that are not zero anyway; an amount
	// likewise. The tolerances are four standard errors or more.
	for _, c := range []struct {
		column          string
		mean, tolerance float64
	}{
		{"n00", math.Exp(0.18) * 0.75, 0.03},
		{"n01", math.Exp(0.15+0.125) * 0.7, 0.03},
		{"n02", math.Exp(0.3) * 0.65, 0.03},
		{"n08", math.Exp(1.2) * 0.35, 0.05},
		{"n11", math.Exp(0.5 + (0.4*0.4+0.85*0.85)/2), 0.1},
		{"n14", math.Exp(2 + (0.5*0.5+1)/2), 1},
		{"n20", 0.5, 0.005}, {"n21", 0.5, 0.005}, {"n27", 365. / 2, 2},
		{"b0", 0.5, 0.01}, {"b1", 0.2, 0.01}, {"b2", 0.1, 0.01}, {"b3", 0.7, 0.01},
		{"y", 0.1, 0.015},
	} {
		if mean, _ := describe(c.column); math.Abs(mean-c.mean) > c.tolerance {
			t.Errorf("%s: mean %v, want %v", c.column, mean, c.mean)
		}
	}
	for i := range numbers {
		name, want := table.Columns[i].Name, 0.1*when(i%3 == 0)
		if _, missing := describe(name); math.Abs(missing-want) > 0.005*when(want > 0) {
			t.Errorf("%s: %v missing, want %v", name, missing, want)
		}
	}
	for j, levels := range cardinalities() {
		c := table.Columns[numbers+j]
		if len(c.Values) != levels {
			t.Fatalf("%s: %d levels, want %d", c.Name, len(c.Values), levels)
		}
		counts := make(map[string]int)
		for _, k := range c.Codes {
			counts[c.Values[k]]++
		}
		// The second is 2^-0.7 as frequent as the first.
		ratio := float64(counts[level(j, 1)]) / float64(counts[level(j, 0)])
		if math.Abs(ratio-math.Pow(2, -0.7)) > 0.06 {
			t.Errorf("%s: the second level is %v times as frequent as the first", c.Name, ratio)
		}
	}
}

func TestTableDependsOnTheSeedAlone(t *testing.T) {
	same := cmpopts.EquateNaNs()
	one, two := newMaker(1).chunk(3, 500), newMaker(1).chunk(3, 500)
	if d := cmp.Diff(one, two, same); d != "" {
		t.Error("the same seed gave two tables:\n" + d)
	}
	first := make([]int, 200)
	for i := range first {
		first[i] = i
	}
	short, long := newMaker(1).chunk(3, 200), one.Take(first)
	for j := range long.Columns {
		c := &long.Columns[j]
		c.Values = slices.Clip(c.Values)[:len(short.Columns[j].Values)] // later rows brought the rest
	}
	if d := cmp.Diff(long, short, same); d != "" {
		t.Error("fewer rows are not the first of more:\n" + d)
	}
	if cmp.Equal(one, newMaker(2).chunk(3, 500), same) || cmp.Equal(one, newMaker(1).chunk(4, 500), same) {
		t.Error("another seed or chunk gave the same rows")
	}
}

func TestMakeTableWritesBothFormatsAlike(t *testing.T) {
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "t.parquet"), filepath.Join(dir, "t.csv")}
	if err := makeTable(t.Context(), 300, paths...); err != nil {
		t.Fatal(err)
	}
	want := newMaker(tableSeed).chunk(0, 300)
	for _, path := range paths {
		got, err := datasets.Read(path, datasets.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Fingerprint() != want.Fingerprint() {
			t.Errorf("%s reads back another table", path)
		}
	}
}
