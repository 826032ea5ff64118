package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/models/registry"
)

// killWithin is longer than a few rounds of the child take.
const killWithin = 100 * time.Millisecond

// casesPerRegistry keeps logs short, so that the rounds of the child stay short.
const casesPerRegistry = 25

// publishProof kills a writer of a registry at random moments. The kill is that
// of the process: what a loss of power does to a disk is not tried.
func publishProof() proof {
	return proof{
		name: "publish",
		what: "A writer killed (kill -9) at a random moment leaves only whole versions, aliases that point at them, " +
			"a log that can be read, and a registry that the next writer puts in order.",
		n:     300,
		run:   provePublish,
		child: publishForever,
	}
}

const publishedModel = "churn"

// publishForever is the child: it publishes, promotes, rolls back and deletes
// until it is killed.
func publishForever(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want the registry's directory, got %q", args)
	}
	r := registry.Open(args[0])
	f, err := smallArtifact(publishedModel)
	if err != nil {
		return err
	}
	e := registry.Event{Actor: "child"}
	fmt.Println("ready")
	for k := 1; ; k++ {
		version, err := r.Publish(ctx, publishedModel, f, e)
		if err != nil {
			return err
		}
		if err := r.Promote(ctx, publishedModel, version, registry.Champion, e); err != nil {
			return err
		}
		if k%3 == 0 {
			if _, _, err := r.Rollback(ctx, publishedModel, registry.Champion, e); err != nil && !errors.Is(err, registry.ErrNotFound) {
				return err
			}
		}
		versions, err := r.Versions(publishedModel)
		if err != nil {
			return err
		}
		for _, v := range versions[:max(0, len(versions)-3)] {
			if err := r.Delete(ctx, publishedModel, v.Number, e); err != nil && !errors.Is(err, registry.ErrInUse) {
				return err
			}
		}
	}
}

func provePublish(ctx context.Context, r *run) error {
	f, err := smallArtifact(publishedModel)
	if err != nil {
		return err
	}
	dir := filepath.Join(r.dir, "registry")
	reg := registry.Open(dir)
	return r.each(ctx, func(ctx context.Context, i int, rng *rand.Rand) error {
		if i%casesPerRegistry == 0 {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
		if err := r.killOne(ctx, dir, time.Duration(rng.Int64N(int64(killWithin)))); err != nil {
			return err
		}
		if err := r.tallyLeft(dir); err != nil {
			return err
		}
		if err := seenWhole(reg); err != nil {
			return fmt.Errorf("after the kill: %w", err)
		}
		before, err := reg.Log(publishedModel)
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			return err
		}
		highest := 0
		for _, e := range before {
			highest = max(highest, e.Version)
		}
		version, err := reg.Publish(ctx, publishedModel, f, registry.Event{Actor: "proof"})
		if err != nil {
			return fmt.Errorf("the next publish: %w", err)
		}
		if version <= highest {
			return fmt.Errorf("the next publish used the number %d again", version)
		}
		if err := seenWhole(reg); err != nil {
			return fmt.Errorf("after the next publish: %w", err)
		}
		return r.settled(reg, dir, len(before))
	})
}

// killOne starts a child and kills it so long after it is ready, while a reader
// looks on.
func (r *run) killOne(ctx context.Context, dir string, after time.Duration) error {
	cmd, err := r.childProcess(ctx, dir)
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return errors.Join(fmt.Errorf("the child said %q: %w", line, err), cmd.Process.Kill(), cmd.Wait())
	}
	kill := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	reader := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		seen := false // a champion: from then on there is always one
		for {
			select {
			case <-stop:
				reader <- nil
				return
			default:
			}
			_, _, err := registry.Open(dir).Load(registry.Ref{Name: publishedModel, Alias: registry.Champion})
			if err != nil && (seen || !errors.Is(err, registry.ErrNotFound)) {
				reader <- fmt.Errorf("a reader beside the child: %w", err)
				return
			}
			seen = seen || err == nil
		}
	}()
	_, _ = io.Copy(io.Discard, out)
	died := cmd.Wait()
	close(stop)
	if err := <-reader; err != nil {
		return err
	}
	if died == nil || cmd.ProcessState.ExitCode() != -1 {
		return fmt.Errorf("the child ended before it was killed: %v", died)
	}
	return nil
}

// seenWhole is a reader's view, with no writer having come by: every version
// verifies, every alias loads, the log can be read.
func seenWhole(reg *registry.Registry) error {
	versions, err := reg.Versions(publishedModel)
	if errors.Is(err, registry.ErrNotFound) {
		return nil // killed before its first version
	}
	if err != nil {
		return err
	}
	for _, v := range versions {
		if err := reg.Verify(publishedModel, v.Number); err != nil {
			return err
		}
	}
	aliases, err := reg.Aliases(publishedModel)
	if err != nil {
		return err
	}
	for alias, version := range aliases {
		_, ref, err := reg.Load(registry.Ref{Name: publishedModel, Alias: alias})
		if err != nil {
			return err
		}
		if ref.Version != version {
			return fmt.Errorf("alias %s is at %d and loads %d", alias, version, ref.Version)
		}
	}
	entries, err := reg.Log(publishedModel)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Alias != "" && aliases[e.Alias] == 0 {
			return fmt.Errorf("the alias %s is lost", e.Alias)
		}
	}
	return nil
}

// tallyLeft counts what the kill left in the directory.
func (r *run) tallyLeft(dir string) error {
	list, err := os.ReadDir(filepath.Join(dir, publishedModel))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range list {
		for prefix, what := range map[string]string{
			".publish-": "kills within writing a version", ".delete-": "within a deletion", ".aliases-": "within moving an alias",
		} {
			if strings.HasPrefix(e.Name(), prefix) && e.Name() != ".aliases-undo.json" {
				r.tally(what)
			}
		}
	}
	return err
}

// settled checks that after a writer the log tells of exactly what is there,
// and that nothing else is there.
func (r *run) settled(reg *registry.Registry, dir string, before int) error {
	entries, err := reg.Log(publishedModel)
	if err != nil {
		return err
	}
	there, alias := map[int]bool{}, map[string]int{}
	for i, e := range entries {
		switch e.Action {
		case registry.ActionPublish:
			there[e.Version] = true
		case registry.ActionDelete:
			delete(there, e.Version)
		default:
			alias[e.Alias] = e.Version
		}
		if e.Recovered && i >= before {
			r.tally("log entries recovered")
		}
	}
	versions, err := reg.Versions(publishedModel)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if !there[v.Number] {
			return fmt.Errorf("version %d is not in the log", v.Number)
		}
	}
	aliases, err := reg.Aliases(publishedModel)
	if err != nil {
		return err
	}
	if len(versions) != len(there) || fmt.Sprint(alias) != fmt.Sprint(aliases) {
		return fmt.Errorf("the log tells of versions %v and aliases %v, there are %d and %v", there, alias, len(versions), aliases)
	}
	list, err := os.ReadDir(filepath.Join(dir, publishedModel))
	for _, e := range list {
		if strings.HasPrefix(e.Name(), ".") && e.Name() != ".lock" {
			return fmt.Errorf("%s was left behind", e.Name())
		}
	}
	return err
}

// smallArtifact is a whole artifact of a linear model over two columns.
func smallArtifact(name string) (models.Files, error) {
	t := &datasets.Table{Columns: []datasets.Column{
		{Name: "logins", Kind: datasets.Number, Numbers: []float64{0, 1, 2, 3, 5, 8}},
		{Name: "plan", Kind: datasets.Category, Codes: []int32{0, 1, 0, 1, 1, 0}, Values: []string{"free", "pro"}},
	}}
	e, _, err := features.FitEncoder(t, nil)
	if err != nil {
		return nil, err
	}
	ranking, err := evaluate.NewRanking([]float64{-2, -1, 0, 1})
	if err != nil {
		return nil, err
	}
	a := &models.Artifact{
		Manifest: models.Manifest{Name: name, Learner: "logistic", BaseRate: 0.5, Bands: []models.Band{{Name: "A", From: 0.5}, {Name: "B"}}},
		Encoder:  e,
		Model: &models.Linear{Terms: []models.Term{
			{Scale: 1, Weight: -0.5},
			{Levels: []float64{0.25, -0.25}},
		}},
		Calibration: models.Calibration{Kind: "none"},
		Ranking:     ranking,
		Spec:        []byte("version: 1\n"),
		Card:        []byte("# Small\n"),
		Report:      []byte("<!DOCTYPE html>\n"),
	}
	return a.Files()
}
