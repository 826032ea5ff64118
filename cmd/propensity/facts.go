package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/spec"
	"propensity/models"
	"propensity/models/registry"
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
	o.RebuildChanged = true
	p, sum, err := a.runBuild(ctx, o)
	if err != nil {
		return err
	}
	for _, m := range sum.Models {
		if m.Rebuilt {
			a.say("note: the features of %s have changed since its table was made: all its rows are made again", m.Name)
		}
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

// scoreFacts scores the accounts of the project file as of now, or of --as-of.
func (a *app) scoreFacts(ctx context.Context, s *models.Scorer, ref registry.Ref, o *scoreOptions, f datasets.Format, display *stages) error {
	p, dir, err := a.features()
	if err != nil {
		return err
	}
	learnt, err := learntFeatures(s, ref)
	if err != nil {
		return err
	}
	if err := learnt.Locate(p); err != nil {
		return fmt.Errorf("%s: %w", a.config, err)
	}
	from := build.Options{Dir: dir, Now: time.Now().UnixMicro(), Progress: display.tick}
	if o.asOf != "" {
		from.AsOf = o.AsOf
	}
	in, err := build.OpenPresent(ctx, learnt, s.Artifact().Manifest.Name, from)
	if err != nil {
		return err
	}
	defer in.Close()
	for _, e := range in.Excluded() {
		a.say("note: %s", e)
	}
	a.say("as of %s", datasets.FormatTime(in.At()))
	o.in = a.config // for errors to name
	return a.scoreRows(ctx, s, ref, in, o, f, display)
}

// learntFeatures are the features that a version learnt with.
func learntFeatures(s *models.Scorer, ref registry.Ref) (*spec.Project, error) {
	b := s.Artifact().Features
	if b == nil {
		return nil, fmt.Errorf("%s was learnt from a finished table: its rows are not made of facts; score a table (--in), or train it from facts", ref)
	}
	p, err := spec.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", ref, models.FeaturesFile, err)
	}
	return p, nil
}
