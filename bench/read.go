package main

import (
	"context"
	"fmt"
	"time"

	"propensity/datasets"
)

// readTables compares the reading of a whole table into memory.
func (b *benchmark) readTables(ctx context.Context) ([]table, error) {
	var out []table
	for _, format := range []string{"csv", "parquet"} {
		data, err := b.table(ctx, b.most(), format)
		if err != nil {
			return nil, err
		}
		all := []contender{b.ours("propensity", "read", data)}
		for _, p := range [][2]string{{"polars", "polars"}, {"pyarrow", "pyarrow"}, {"pandas", "pandas"}} {
			all = append(all, b.peer(p[0], "read.py", p[1], data)...)
		}
		title := fmt.Sprintf("%s of %d rows x 41 read into memory, whole process, seconds", formatName(format), b.most())
		outcomes, err := alternate(ctx, b.log, title, b.runs, all)
		if err != nil {
			return nil, err
		}
		out = append(out, compare(title, "Two threads, the file in the system's cache. Reading alone leaves out the start of the process and the import of libraries.",
			"wall", outcomes, column{"seconds", "reading alone", figure}, column{"cpu", "CPU seconds", figure}, column{"peak", "peak MB", figure}))
	}
	return out, nil
}

func measureRead(path string) (measures, error) {
	start := time.Now()
	t, err := datasets.Read(path, datasets.ReadOptions{})
	if err != nil {
		return nil, err
	}
	return measures{"seconds": time.Since(start).Seconds(), "rows": float64(t.Rows()), "columns": float64(len(t.Columns))}, nil
}
