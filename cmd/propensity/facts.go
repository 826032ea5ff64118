package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/spec"
)

// made makes the tables of those models whose rows come from facts, in one pass, and
// says where they are. What is there already is added to.
func (a *app) made(ctx context.Context, sources []source, o build.Options) error {
	for _, in := range sources {
		if in.data == "" {
			o.Models = append(o.Models, in.spec.Name)
		}
	}
	if len(o.Models) == 0 {
		return nil
	}
	p, dir, err := a.features()
	if err != nil {
		return err
	}
	o.Dir, o.Now = dir, time.Now().UnixMicro()
	run := func() (*build.Summary, error) {
		var wait func()
		o.Progress, wait = a.progress()
		defer wait()
		return build.Run(ctx, p, o)
	}
	sum, err := run()
	if errors.Is(err, build.ErrChanged) {
		a.say("note: the features have changed since their tables were made: all rows are made again")
		o.Rebuild = true
		sum, err = run()
	}
	if err != nil {
		return err
	}
	for _, e := range sum.Excluded {
		a.say("note: %s", e)
	}
	for i := range sources {
		in := &sources[i]
		if in.data != "" {
			continue
		}
		in.data = filepath.Join(o.Out, in.spec.Name)
		m := &p.Models[slices.IndexFunc(p.Models, func(m spec.Model) bool { return m.Name == in.spec.Name })]
		in.spec.Horizon = days(m.Gap) + days(m.Label.Horizon)
		if in.spec.Features, err = p.Of(m.Name).YAML(); err != nil {
			return err
		}
	}
	return nil
}

// days are those that a window may have at most: rows are purged by them.
func days(w spec.Window) int {
	const day, month = int64(24 * time.Hour / time.Microsecond), 31
	return int((w.Micros+day-1)/day) + month*w.Months
}

// madeTable reads the table of a model that features build made; the path is that of
// its directory.
func madeTable(path string) (*datasets.Table, error) {
	t, err := build.Open(filepath.Dir(path), filepath.Base(path))
	if err != nil {
		return nil, err
	}
	if t.Open > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d rows are left out: their label was not settled on %s", t.Open, datasets.FormatTime(t.AsOf)))
	}
	return t.Table, nil
}

// isDirectory tells the tables that features build made from files.
func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
