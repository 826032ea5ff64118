package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"propensity/models"
	"propensity/models/registry"
)

func (a *app) modelsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "models",
		Short: "List, show, compare, promote, try, send, fetch, verify and delete versions",
		Example: `  propensity models list
  propensity models promote churn@7`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var alias, note string
	promote := a.modelsSub("promote MODEL@VERSION", "Point an alias at a version, once it has replayed its own rows", func(c *cobra.Command, ref registry.Ref) error {
		if ref.Version == 0 {
			return fmt.Errorf("%w: name a version, such as %s@7", errUsage, ref.Name)
		}
		if err := a.open().Promote(c.Context(), ref.Name, ref.Version, alias, registry.Event{Actor: actor(), Note: note}); err != nil {
			return err
		}
		return a.moved(ref.Name, alias, ref.Version)
	})
	rollback := a.modelsSub("rollback MODEL", "Point an alias back at the version that it had before", func(c *cobra.Command, ref registry.Ref) error {
		_, to, err := a.open().Rollback(c.Context(), ref.Name, alias, registry.Event{Actor: actor(), Note: note})
		if err != nil {
			return err
		}
		return a.moved(ref.Name, alias, to)
	})
	del := a.modelsSub("delete MODEL@VERSION", "Delete a version that no alias points at", func(c *cobra.Command, ref registry.Ref) error {
		if ref.Version == 0 {
			return fmt.Errorf("%w: name a version, such as %s@7", errUsage, ref.Name)
		}
		if err := a.open().Delete(c.Context(), ref.Name, ref.Version, registry.Event{Actor: actor(), Note: note}); err != nil {
			return err
		}
		a.say("deleted %s@%d", ref.Name, ref.Version)
		return nil
	})
	unalias := a.modelsSub("unalias MODEL@ALIAS", "Take an alias away; its version stays", func(c *cobra.Command, ref registry.Ref) error {
		if ref.Version != 0 || ref.Alias == registry.Champion {
			return fmt.Errorf("%w: name an alias, such as %s@challenger; the champion is moved, not taken away", errUsage, ref.Name)
		}
		version, err := a.open().Unalias(c.Context(), ref.Name, ref.Alias, registry.Event{Actor: actor(), Note: note})
		if err != nil {
			return err
		}
		a.say("%s is gone; it was version %d", ref, version)
		return nil
	})
	for _, sub := range []*cobra.Command{promote, rollback} {
		sub.Flags().StringVar(&alias, "alias", registry.Champion, "`name` of the alias")
	}
	for _, sub := range []*cobra.Command{promote, rollback, unalias, del} {
		sub.Flags().StringVar(&note, "note", "", "`why`, for the log")
	}
	list := &cobra.Command{
		Use: "list [MODEL...]", Short: "List models and their versions", Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, names []string) error { return a.listModels(names) },
	}
	show := a.modelsSub("show MODEL[@VERSION|@ALIAS]", "Show what a version is and the evidence for it", func(_ *cobra.Command, ref registry.Ref) error { return a.showModel(ref) })
	verify := a.verifyCommand()
	points := a.modelsSub("points MODEL[@VERSION|@ALIAS]", "Write a scorecard as a table to edit, for train --scorecard", func(_ *cobra.Command, ref registry.Ref) error { return a.writePoints(ref) })
	points.Long = `Write the points of a scorecard as CSV, to edit and train with again:

  propensity models points churn@7 > points.csv
  propensity train churn ... --learner scorecard --scorecard points.csv

One row a bin. A number's bin is above "from", up to "to"; the levels of a category stand
with | between; "state" is missing, or other for all levels that stand nowhere. The
rows without a feature say what points mean, and where every account starts.`
	log := a.modelsSub("log MODEL", "Show who published, promoted, rolled back or deleted what", func(_ *cobra.Command, ref registry.Ref) error { return a.showLog(ref.Name) })
	for sub, example := range map[*cobra.Command]string{
		list: "list churn --json", show: "show churn@champion", promote: `promote churn@7 --note "better on new accounts"`,
		rollback: "rollback churn", verify: "verify churn@7 --data churn.parquet", points: "points churn@7 > points.csv", unalias: "unalias churn@challenger", del: "delete churn@3", log: "log churn",
	} {
		sub.Example = "  propensity models " + example
	}
	c.AddCommand(list, show, a.diffCommand(), points, promote, rollback, unalias, a.canaryCommand(), a.pushCommand(), a.pullCommand(), verify, del, log)
	return c
}

func (a *app) open() *registry.Registry { return registry.Open(a.registry) }

// modelsSub is a subcommand of one reference.
func (a *app) modelsSub(use, short string, do func(*cobra.Command, registry.Ref) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := registry.ParseRef(args[0])
			if err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			return do(c, ref)
		},
	}
}

func (a *app) moved(name, alias string, version int) error {
	if a.json {
		return a.printJSON(map[string]any{"model": name, "alias": alias, "version": version})
	}
	a.print("%s@%s is version %d now", name, alias, version)
	return nil
}

// listing is a model with its versions.
type listing struct {
	Model    string             `json:"model"`
	Versions []registry.Version `json:"versions"`
}

func (a *app) listModels(names []string) error {
	r := a.open()
	if len(names) == 0 {
		var err error
		if names, err = r.Models(); err != nil {
			return err
		}
	}
	all := []listing{}
	for _, name := range names {
		versions, err := r.Versions(name)
		if err != nil {
			return err
		}
		all = append(all, listing{name, versions})
	}
	if a.json {
		return a.printJSON(all)
	}
	rows := [][]string{{"model", "version", "aliases", "published", "hash"}}
	for _, m := range all {
		for _, v := range m.Versions {
			rows = append(rows, []string{m.Model, strconv.Itoa(v.Number), strings.Join(v.Aliases, ", "), v.Published.Format(time.DateTime), abbreviated(v.Hash)})
		}
	}
	a.table(rows)
	return nil
}

// artifact reads a version.
func (a *app) artifact(ref registry.Ref) (*models.Artifact, registry.Ref, error) {
	ref, err := a.open().Resolve(ref)
	if err != nil {
		return nil, ref, err
	}
	files, err := a.open().Read(ref.Name, ref.Version)
	if err != nil {
		return nil, ref, err
	}
	art, err := models.ParseArtifact(files)
	if err != nil {
		return nil, ref, fmt.Errorf("%s: %w", ref, err)
	}
	return art, ref, nil
}

func (a *app) writePoints(ref registry.Ref) error {
	art, ref, err := a.artifact(ref)
	if err != nil {
		return err
	}
	card := art.Metrics.Scorecard
	if card == nil {
		return fmt.Errorf("%w: %s is of the learner %s, not a scorecard", errUsage, ref, art.Manifest.Learner)
	}
	if a.json {
		return a.printJSON(card)
	}
	_, err = io.WriteString(a.stdout, card.Table)
	return err
}

func (a *app) showModel(ref registry.Ref) error {
	art, ref, err := a.artifact(ref)
	if err != nil {
		return err
	}
	decided, err := a.decision(ref)
	if err != nil {
		return err
	}
	m := &art.Manifest
	if a.json {
		return a.printJSON(map[string]any{"model": ref.Name, "version": ref.Version, "manifest": m, "metrics": art.Metrics, "encoder": art.Encoder, "decision": decided})
	}
	a.print("%s@%d: probability that %s is %s", ref.Name, ref.Version, m.Label.Column, m.Label.Positive)
	a.print("%s, %d features, from %d rows of %d accounts; split by %s", m.Learner, len(art.Encoder.Columns), m.Data.Rows, m.Data.Accounts, m.Split.Kind)
	a.print("hash %s, data %s", abbreviated(m.Hash), abbreviated(m.Data.Fingerprint))
	for _, note := range m.Notes {
		a.print("  %s", note)
	}
	for _, l := range m.LeftOut {
		a.print("  left out %s: %s", l.Column, l.Reason)
	}
	a.print("")
	a.showMetrics(m, &art.Metrics)
	if decided == nil {
		showGate(a, art.Metrics.Gate)
		return nil
	}
	a.print("")
	a.print("decided %s", decided.Time.Format(time.DateTime))
	showGate(a, decided.Gate)
	return nil
}

// decided is what the gate said of a version when it was published, against the
// champion of that day too, which the artifact does not know.
type decided struct {
	Time  time.Time   `json:"time"`
	Actor string      `json:"actor"`
	Gate  models.Gate `json:"gate"`
}

// decision reads it from the log; nil if it is not there.
func (a *app) decision(ref registry.Ref) (*decided, error) {
	entries, err := a.open().Log(ref.Name)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Version != ref.Version || e.Facts["gate"] == nil {
			continue
		}
		text, err := json.Marshal(e.Facts["gate"])
		if err != nil {
			return nil, err
		}
		d := &decided{Time: e.Time, Actor: e.Actor}
		return d, json.Unmarshal(text, &d.Gate)
	}
	return nil, nil
}

// abbreviated is enough of a hash to tell versions apart by eye.
func abbreviated(hash string) string { return hash[:min(12, len(hash))] }

func (a *app) showLog(name string) error {
	entries, err := a.open().Log(name)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(entries)
	}
	rows := [][]string{{"time", "action", "version", "alias", "before", "by", "note"}}
	for _, e := range entries {
		before := ""
		if e.Previous > 0 {
			before = strconv.Itoa(e.Previous)
		}
		action := e.Action
		if e.Action == registry.ActionCanary {
			action = "canary, ended"
			if e.Share > 0 {
				action = "canary, " + shareText(e.Share)
			}
		}
		rows = append(rows, []string{e.Time.Format(time.DateTime), action, strconv.Itoa(e.Version), e.Alias, before, e.Actor, e.Note})
	}
	a.table(rows)
	return nil
}
