package main

import (
	"context"
	"path/filepath"
)

// rowTables compares the scoring of one row at a time, within a process.
func (b *benchmark) rowTables(ctx context.Context) ([]table, error) {
	m, err := b.models(ctx, "lightgbm", "tl2cgen")
	if err != nil {
		return nil, err
	}
	ours := b.ours("propensity", "row", m.model, m.rows)
	if m.raw != "" {
		ours.argv = append(ours.argv, m.raw)
	}
	all := []contender{ours}
	note := "In process, one thread, each call timed, five rounds over 10,000 different rows (or the last 20 % of a smaller table); " + m.what + "."
	if b.python != "" {
		if row := b.compileRow(ctx); row != "" {
			library := b.lightgbmLibrary(ctx)
			all = append(all,
				contender{name: "tl2cgen, the model compiled to C", argv: []string{row, "tl2cgen", filepath.Join(m.dir, "tl2cgen.so"), "-", m.rows}, parse: lastObject},
				contender{name: "LightGBM, fast C call", argv: []string{row, "score", library, m.model, m.rows}, parse: lastObject})
		} else {
			note += " tl2cgen and LightGBM's C call are missing, for want of a C compiler."
		}
		if leaves := b.buildLeaves(ctx); leaves != "" {
			all = append(all, contender{name: "leaves (Go)", argv: []string{leaves, filepath.Join(m.dir, "lightgbm_v3.txt"), m.rows}, parse: lastObject})
		}
	}
	const title = "One row scored, median of all calls, microseconds"
	outcomes, err := alternate(ctx, b.log, title, b.runs, all)
	if err != nil {
		return nil, err
	}
	return []table{compare(title, note, "p50_us", outcomes, column{"min_us", "least", figure}, column{"p99_us", "99th percentile", figure},
		column{"mean_us", "mean", figure}, column{"differ", "largest difference to LightGBM, log-odds", figure})}, nil
}

// measureRow times single rows; given LightGBM's log-odds of them it tells the
// largest difference.
func measureRow(model, path string, raw []string) (measures, error) {
	e, err := loadModel(model)
	if err != nil {
		return nil, err
	}
	rows, err := readRows(path)
	if err != nil {
		return nil, err
	}
	f := latencies(rows, 5, func(x []float64) { e.Raw(x) })
	if len(raw) == 0 {
		return f, nil
	}
	want, err := readFloats(raw[0])
	if err != nil {
		return nil, err
	}
	got := make([]float64, len(rows))
	for i, x := range rows {
		got[i] = e.Raw(x)
	}
	f["differ"], err = farthest(got, want)
	return f, err
}
