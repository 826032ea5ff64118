package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// shapTables compares exact Shapley values, of many rows and of one.
func (b *benchmark) shapTables(ctx context.Context) ([]table, error) {
	m, err := b.models(ctx, "lightgbm", "xgboost", "catboost")
	if err != nil {
		return nil, err
	}
	ours := b.ours("propensity", "shap", m.model, m.rows)
	if m.contributions != "" {
		ours.argv = append(ours.argv, m.contributions)
	}
	all := []contender{ours}
	if b.python != "" {
		for _, p := range [][2]string{{"CatBoost", "catboost"}, {"LightGBM", "lightgbm"}, {"XGBoost", "xgboost"}} {
			all = append(all, b.peer(p[0], "shap.py", p[1], m.dir)...)
		}
		if row := b.compileRow(ctx); row != "" {
			all = append(all, contender{name: "LightGBM, fast C call", argv: []string{row, "shap", b.lightgbmLibrary(ctx), m.model, m.rows}, parse: lastObject})
		}
	}
	const title = "Shapley values"
	outcomes, err := alternate(ctx, b.log, title, b.runs, all)
	if err != nil {
		return nil, err
	}
	note := "Exact, path-dependent, in process; " + m.what + "."
	if b.peers {
		note += " CatBoost and XGBoost explain models of their own of 200 trees (CatBoost: symmetric, depth 6)."
	}
	return []table{
		compare(fmt.Sprintf("%s of %d rows, seconds", title, min(10_000, b.most()/5)), note+" Two threads.", "seconds", outcomes,
			column{"differ", "largest difference to LightGBM, log-odds", figure}),
		compare(title+" of one row, median of all calls, microseconds", note+" One thread, each call timed over different rows.", "p50_us", outcomes,
			column{"min_us", "least", figure}, column{"p99_us", "99th percentile", figure}),
	}, nil
}

// measureShap explains all rows on two threads, then one at a time; given
// LightGBM's values of the first rows it tells the largest difference.
func measureShap(model, path string, contributions []string) (measures, error) {
	e, err := loadModel(model)
	if err != nil {
		return nil, err
	}
	rows, err := readRows(path)
	if err != nil {
		return nil, err
	}
	columns := make([][]float64, width)
	for _, x := range rows {
		for j, v := range x {
			columns[j] = append(columns[j], v)
		}
	}
	phi := make([]float64, width*len(rows))
	e.ExplainAll(phi[:width*min(len(rows), 100)], columns)
	start := time.Now()
	base := e.ExplainAll(phi, columns)
	seconds := time.Since(start).Seconds()
	one := make([]float64, width)
	f := latencies(rows[:min(len(rows), 1000)], 2, func(x []float64) { e.Explain(one, x) })
	f["seconds"] = seconds
	if len(contributions) == 0 {
		return f, nil
	}
	want, err := readFloats(contributions[0])
	if err != nil {
		return nil, err
	}
	var got []float64
	for values := range slices.Chunk(phi[:width*min(len(rows), len(want)/(width+1))], width) {
		got = append(append(got, values...), base) // LightGBM puts the base last
	}
	f["differ"], err = farthest(got, want)
	return f, err
}
