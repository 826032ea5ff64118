package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// eventsARow makes the sizes of this section of those of the others: 5 and 50 million.
const eventsARow = 50

// featureTables compares the making of a feature table from raw events.
func (b *benchmark) featureTables(ctx context.Context) ([]table, error) {
	if b.python == "" {
		fmt.Fprintln(b.log, "features: its history is made by bench/peers/history_gen.py: it needs --peers")
		return nil, nil
	}
	var out []table
	for _, rows := range b.rows {
		t, err := b.featureTable(ctx, rows*eventsARow)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (b *benchmark) featureTable(ctx context.Context, events int) (table, error) {
	data, err := b.history(ctx, events)
	if err != nil {
		return table{}, err
	}
	made := filepath.Join(b.scratch, "features")
	all := []contender{{name: "propensity", ours: true, fresh: made,
		argv: []string{b.program, "features", "build", "--config", filepath.Join(data, "propensity.yaml"), "--out", made, "--quiet", "--json"}}}
	files := []string{""}
	for _, p := range [][3]string{{"DuckDB, any moments at midnight", "duckdb", "day"}, {"DuckDB, moments that all accounts share", "duckdb", "segment"},
		{"polars, any moments at midnight", "polars", "day"}, {"polars, moments that all accounts share", "polars", "segment"}} {
		file := filepath.Join(b.scratch, p[1]+"_"+p[2]+".parquet")
		files = append(files, file)
		all = append(all, contender{name: p[0], argv: []string{b.python, filepath.Join(peersDir, "history_"+p[1]+".py"), "--data", data, "--out", file, "--form", p[2]}})
	}
	title := fmt.Sprintf("%d events of 100000 accounts into a feature table, whole process, seconds", events)
	outcomes, err := alternate(ctx, b.log, title, b.runs, all)
	if err != nil {
		return table{}, err
	}
	for i := range outcomes[1:] {
		o := &outcomes[i+1]
		if outcomes[0].failed != nil || o.failed != nil {
			continue
		}
		check := contender{argv: []string{b.python, filepath.Join(peersDir, "history_check.py"), filepath.Join(made, "churn"), files[i+1]}, parse: lastObject}
		found, err := check.measure(ctx)
		if err != nil {
			return table{}, err
		}
		if found["differ"] > 0 {
			outcomes[0].failed = fmt.Errorf("%.0f values are not those of %s", found["differ"], o.name)
		}
		for _, r := range o.runs {
			r["difference"] = found["difference"]
		}
	}
	return compare(title, "From Parquet to Parquet, two threads: bench/peers/history.py is the definition, bench/peers/history.yaml the same for us. 24 moments, "+
		"42 columns; all tables have the same rows and values, floating numbers to the last column (of sums; relative). Ours takes any moments, also such as differ by account.",
		"wall", outcomes, column{"cpu", "CPU seconds", figure}, column{"peak", "peak MB", figure}, column{"difference", "largest difference to ours", figure}), nil
}

// history is the directory of a history with so many events; it is made unless it is
// there.
func (b *benchmark) history(ctx context.Context, events int) (string, error) {
	script := filepath.Join(peersDir, "history_gen.py")
	hash, err := hashOf("", script)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.work, fmt.Sprintf("history-%s-%d", hash, events))
	err = b.once(filepath.Join(dir, "events.parquet"), func() error {
		fmt.Fprintf(b.log, "making %s\n", b.shown(dir))
		part := dir + ".part"
		_, err := contender{argv: []string{b.python, script, "--out", part, "--events", fmt.Sprint(events)}, fresh: part}.measure(ctx)
		return errors.Join(err, os.Rename(part, dir))
	})
	if err != nil {
		return "", err
	}
	spec, err := os.ReadFile(filepath.Join(peersDir, "history.yaml"))
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "propensity.yaml"), spec, 0o644)
}
