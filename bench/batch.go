package main

import (
	"context"
	"fmt"
	"time"
)

// batchTables compares the scoring of a whole table in memory.
func (b *benchmark) batchTables(ctx context.Context) ([]table, error) {
	m, err := b.models(ctx, "lightgbm", "xgboost", "catboost", "ydf")
	if err != nil {
		return nil, err
	}
	data, err := b.table(ctx, b.most(), "parquet")
	if err != nil {
		return nil, err
	}
	all := []contender{b.ours("propensity", "batch", m.model, data)}
	for _, p := range [][2]string{{"CatBoost", "catboost"}, {"YDF", "ydf"}, {"LightGBM", "lightgbm"}, {"XGBoost", "xgboost"}} {
		all = append(all, b.peer(p[0], "predict.py", p[1], data, m.dir)...)
	}
	title := fmt.Sprintf("%d rows scored in memory, seconds", b.most())
	outcomes, err := alternate(ctx, b.log, title, b.runs, all)
	if err != nil {
		return nil, err
	}
	note := "In process, two threads, one call for all rows; " + m.what + "."
	if b.peers {
		note += " CatBoost, YDF and XGBoost score with models of their own of 200 trees (CatBoost: symmetric, depth 6; others: 31 leaves)."
	}
	return []table{compare(title, note, "seconds", outcomes, column{"rows_per_second", "rows a second", figure})}, nil
}

func measureBatch(model, data string) (measures, error) {
	e, err := loadModel(model)
	if err != nil {
		return nil, err
	}
	columns, label, err := readCoded(data)
	if err != nil {
		return nil, err
	}
	raw := make([]float64, len(label))
	e.RawAll(raw[:min(len(raw), 1000)], columns)
	start := time.Now()
	e.RawAll(raw, columns)
	seconds := time.Since(start).Seconds()
	return measures{"seconds": seconds, "rows_per_second": float64(len(raw)) / seconds}, nil
}
