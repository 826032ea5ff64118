package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// growthTables shows how the cost of training grows with the rows, and that of
// scoring with the size of a batch. There are no peers here.
func (b *benchmark) growthTables(ctx context.Context) ([]table, error) {
	t := table{
		title: "Training as the rows grow", head: []string{"rows", "fit, s", "fit, s a million rows", "process, s", "process, s a million rows", "process, peak MB"},
		note: "Medians, two threads. Fit: one fit of 200 trees of 31 leaves on 80 % of the rows, from a matrix in memory, with binning. Process: `propensity train` of the same from a Parquet file to the published artifact.",
	}
	var all []contender
	registry := filepath.Join(b.scratch, "registry-growth")
	sizes := []int{b.most() / 10, b.most() / 5, b.most() / 2, b.most(), 2 * b.most(), 5 * b.most()}
	for _, rows := range sizes {
		data, err := b.table(ctx, rows, "parquet")
		if err != nil {
			return nil, err
		}
		all = append(all, b.ours(fmt.Sprintf("fit, %d rows", rows), "train", data, "default"),
			contender{name: fmt.Sprintf("process, %d rows", rows), ours: true, argv: b.trainArgv(data, registry, boosting()...), fresh: registry, okay: []int{3}})
	}
	outcomes, err := alternate(ctx, b.log, t.title, b.runs, all)
	if err != nil {
		return nil, err
	}
	for i, rows := range sizes {
		fit, process := &outcomes[2*i], &outcomes[2*i+1]
		million := float64(rows) / 1e6
		f, p := spreadOf(fit.values("seconds")).Median, spreadOf(process.values("wall")).Median
		t.rows = append(t.rows, []string{strconv.Itoa(rows), figure(f), figure(f / 0.8 / million), figure(p), figure(p / million), figure(spreadOf(process.values("peak")).Median)})
		t.take(fit, process)
	}
	s, err := b.sizesTable(ctx)
	return []table{t, s}, err
}

// take lists the contenders of a table that is not made by compare.
func (t *table) take(all ...*outcome) {
	for _, o := range all {
		t.commands = append(t.commands, o.line())
		if o.failed != nil {
			t.failed = append(t.failed, fmt.Sprintf("%s: %s: %v", t.title, o.name, o.failed))
		}
	}
}

func batchSizes() []int { return []int{1, 10, 100, 1000, 10_000} }

// sizesTable shows the cost of a row by the size of the batch it comes in.
func (b *benchmark) sizesTable(ctx context.Context) (table, error) {
	t := table{title: "One row's scoring by the size of the batch, microseconds a row", head: []string{"rows in a call", "min", "median", "max"}}
	m, err := b.models(ctx, "lightgbm")
	if err != nil {
		return t, err
	}
	t.note = "In process, one thread, from columns in memory; " + m.what + "."
	data, err := b.table(ctx, b.most(), "parquet")
	if err != nil {
		return t, err
	}
	c := b.ours("propensity", "sizes", m.model, data)
	c.env = []string{"GOMAXPROCS=1"}
	outcomes, err := alternate(ctx, b.log, t.title, b.runs, []contender{c})
	if err != nil {
		return t, err
	}
	for _, n := range batchSizes() {
		s := spreadOf(outcomes[0].values(strconv.Itoa(n)))
		t.rows = append(t.rows, []string{strconv.Itoa(n), figure(s.Min), figure(s.Median), figure(s.Max)})
	}
	t.take(&outcomes[0])
	return t, nil
}

// measureSizes scores the first rows of a table in batches of each size.
func measureSizes(model, data string) (measures, error) {
	e, err := loadModel(model)
	if err != nil {
		return nil, err
	}
	columns, label, err := readCoded(data)
	if err != nil {
		return nil, err
	}
	rows := min(len(label), 100_000)
	raw, part := make([]float64, rows), make([][]float64, len(columns))
	f := measures{}
	for _, size := range batchSizes() {
		pass := func() {
			for from := 0; from < rows; from += size {
				to := min(rows, from+size)
				for j := range columns {
					part[j] = columns[j][from:to]
				}
				e.RawAll(raw[from:to], part)
			}
		}
		pass()
		start := time.Now()
		pass()
		f[strconv.Itoa(size)] = micros(start) / float64(rows)
	}
	return f, nil
}
