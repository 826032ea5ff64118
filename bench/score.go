package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// scoreTables compares the scoring of a table, file to file.
func (b *benchmark) scoreTables(ctx context.Context) ([]table, error) {
	data, err := b.table(ctx, b.most(), "parquet")
	if err != nil {
		return nil, err
	}
	small, err := b.table(ctx, b.rows[0], "parquet")
	if err != nil {
		return nil, err
	}
	m, err := b.models(ctx, "lightgbm")
	if err != nil {
		return nil, err
	}
	registry := filepath.Join(b.scratch, "registry-score")
	train := contender{name: "train", argv: b.trainArgv(small, registry, boosting()...), okay: []int{3}}
	if _, err := train.measure(ctx); err != nil {
		return nil, fmt.Errorf("train the model to score with: %w", err)
	}
	out := filepath.Join(b.scratch, "scores.parquet")
	var all []contender
	for _, c := range [][2]string{{"0", "propensity"}, {"3", "propensity, three reasons a row"}} {
		all = append(all, contender{name: c[1], ours: true, fresh: out,
			argv: []string{b.program, "score", "m@1", "--registry", registry, "--in", data, "--out", out, "--reasons", c[0], "--quiet"}})
	}
	for _, p := range [][2]string{{"LightGBM and pyarrow, streamed", "streamed"}, {"LightGBM and pyarrow, one table", "whole"}} {
		for _, c := range b.peer(p[0], "score.py", p[1], data, m.dir, out) {
			c.parse, c.fresh = nil, out
			all = append(all, c)
		}
	}
	title := fmt.Sprintf("A Parquet file of %d rows scored into another, whole process", b.most())
	outcomes, err := alternate(ctx, b.log, title, b.runs, all)
	if err != nil {
		return nil, err
	}
	note := "Two threads, models of 200 trees of 31 leaves. Ours writes account, calibrated probability, score, percentile, band, reasons and warnings; LightGBM writes the probability alone."
	return []table{
		compare(title+", seconds", note, "wall", outcomes, column{"cpu", "CPU seconds", figure}),
		compare(title+", peak resident MB", note, "peak", outcomes),
	}, nil
}
