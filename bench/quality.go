package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"propensity/train"
)

// peerFigures are what other libraries reach on the same tables and folds; the
// script that made them is bench/reference/quality.py.
//
//go:embed reference/quality.json
var peerFigures []byte

// figures are the quality of one library on one table.
type figures struct {
	ROCAUC           float64 `json:"roc_auc"`
	LogLoss          float64 `json:"log_loss"`
	Brier            float64 `json:"brier"`
	CalibrationError float64 `json:"calibration_error"`
}

type peerTable struct {
	Table   string             `json:"table"`
	Variant string             `json:"variant"`
	Peers   map[string]figures `json:"peers"`
}

func (p peerTable) name() string {
	if p.Variant != "" {
		return p.Table + " (" + p.Variant + ")"
	}
	return p.Table
}

func four(x float64) string   { return fmt.Sprintf("%.4f", x) }
func signed(x float64) string { return fmt.Sprintf("%+.4f", x) }

// A logistic regression has one right answer; a boosted model is held against
// the best figure of four libraries.
const (
	logisticTolerance = 0.001
	boostingTolerance = 0.0005
)

// boosters are the peers of boosting at default settings; one that has no figures
// for a variant of a table is not among its peers there.
func boosters() []string { return []string{"lightgbm", "xgboost", "catboost", "hist_gb"} }

func qualityCommand() *cobra.Command {
	var data, only string
	var write bool
	var tune int
	c := &cobra.Command{
		Use:   "quality --data DIR",
		Short: "cross-validate the learners at default settings beside other libraries",
		Long: `Cross-validates logistic and boosting, at default settings and by the fold rule, on
every table of DIR that figures of other libraries are known for, and prints them
side by side: how well they rank and fit, then how good their probabilities are. DIR has a folder per table, with table.csv and schema.json. --write
does the same again with boosting tuned, and writes both to ` + qualityFile + `.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if data == "" {
				return errors.New("name the directory of the tables with --data")
			}
			if write && (tune > 0 || only != "") {
				return errors.New("--write is for all tables, by default and tuned: leave out --tune and --only")
			}
			if err := quality(c.Context(), data, only, write, tune); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
	c.Flags().StringVar(&data, "data", "", "`directory` with a folder per table")
	c.Flags().BoolVar(&write, "write", false, "write "+qualityFile+" too")
	c.Flags().IntVar(&tune, "tune", 0, "`trials` of tuning boosting in each fold, beside lightgbm_tuned; 0: default settings")
	c.Flags().StringVar(&only, "only", "", "one `table`, such as adult")
	return c
}

// quality compares, prints and writes; figures that fall short are an error in the end.
func quality(ctx context.Context, dir, only string, write bool, tune int) error {
	c, err := compareQuality(ctx, dir, only, tune)
	if err != nil {
		return err
	}
	c.print()
	if !write {
		return c.verdict()
	}
	tuned, err := compareQuality(ctx, dir, only, train.Trials)
	if err != nil {
		return err
	}
	fmt.Println()
	tuned.print()
	return errors.Join(writeQuality(ctx, c, tuned), c.verdict(), tuned.verdict())
}

// compared are our figures beside those of others.
type compared struct {
	rows          [][]string // the head, then one per table and learner
	short         int        // rows that fall short
	behind        int        // peers that it is behind in the mean
	legend        string
	probabilities *promised
}

// peersKnown are the figures of other libraries, and what made them.
func peersKnown() (source string, tables []peerTable, err error) {
	var peers struct {
		Source string      `json:"source"`
		Tables []peerTable `json:"tables"`
	}
	err = json.Unmarshal(peerFigures, &peers)
	return peers.Source, peers.Tables, err
}

func compareQuality(ctx context.Context, dir, only string, tune int) (*compared, error) {
	source, others, err := peersKnown()
	if err != nil {
		return nil, err
	}
	rivals := boosters()
	if tune > 0 {
		rivals = []string{"lightgbm_tuned"}
	}
	c := &compared{rows: [][]string{{"table", "learner", "ROC AUC", "peer", "ahead", "log loss", "peer", "lower", "seconds", "verdict"}}}
	c.probabilities = newPromised(tune > 0)
	ahead, lower, tables := map[string]float64{}, map[string]float64{}, map[string]float64{}
	for _, p := range others {
		if only != "" && p.Table != only {
			continue
		}
		if _, known := p.Peers["lightgbm_tuned"]; tune > 0 && !known {
			continue
		}
		results, err := crossValidate(ctx, filepath.Join(dir, p.Table), p.Variant, tune)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(os.Stderr, "%s: not in %s\n", p.Table, dir)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Table, err)
		}
		for _, r := range results {
			among := rivals
			if r.Learner == "logistic" {
				among = []string{"logistic"}
			}
			cells, ok := row(p, r, among)
			if !ok {
				c.short++
			}
			c.rows = append(c.rows, cells)
			c.probabilities.add(p, r)
			for _, name := range rivals {
				if f, known := p.Peers[name]; known && r.Learner == "boosting" {
					ahead[name] += r.ROCAUC - f.ROCAUC
					lower[name] += f.LogLoss - r.LogLoss
					tables[name]++
				}
			}
		}
	}
	if len(c.rows) == 1 {
		return nil, fmt.Errorf("no table was found in %s", dir)
	}
	var means []string
	for _, name := range rivals {
		if n := tables[name]; n > 0 {
			means = append(means, fmt.Sprintf("of %s by %+.5f in ROC AUC and %+.5f in log loss (%.0f tables)", name, ahead[name]/n, lower[name]/n, n))
			if !(ahead[name] > 0 && lower[name] > 0) {
				c.behind++
			}
		}
	}
	against := fmt.Sprintf("for logistic the exact optimum of scikit-learn (no worse by more than %v); for boosting the best figure of %s at their defaults (no worse by more than %v)",
		logisticTolerance, strings.Join(rivals, ", "), boostingTolerance)
	if tune > 0 {
		against = fmt.Sprintf("lightgbm_tuned (no worse by more than %v)", boostingTolerance)
	}
	c.legend = fmt.Sprintf("Peer: %s. In the mean of the tables boosting is ahead %s. Peers' figures: %s.", against, strings.Join(means, "; "), source)
	return c, nil
}

func (c *compared) print() {
	for _, part := range c.parts() {
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		for _, r := range part.rows {
			fmt.Fprintln(w, strings.Join(r, "\t"))
		}
		w.Flush()
		fmt.Print("\n" + part.legend + "\n\n")
	}
}

// part is a table with what is to be read under it.
type part struct {
	title  string
	rows   [][]string
	legend string
}

func (c *compared) parts() []part {
	return []part{{"", c.rows, c.legend}, {"Probabilities", c.probabilities.rows, c.probabilities.legend()}}
}

// verdict is an error if a figure falls short.
func (c *compared) verdict() error {
	if c.short > 0 || c.behind > 0 || c.probabilities.behind > 0 {
		return fmt.Errorf("%d figures fall short, boosting is behind %d peers in the mean, and %d figures of probabilities are behind",
			c.short, c.behind, c.probabilities.behind)
	}
	return nil
}

func crossValidate(ctx context.Context, folder, variant string, tune int) ([]train.CrossValidation, error) {
	b, err := os.ReadFile(filepath.Join(folder, "schema.json"))
	if err != nil {
		return nil, err
	}
	s, err := train.ParseSchema(b)
	if err != nil {
		return nil, err
	}
	t, spec, err := s.Read(filepath.Join(folder, "table.csv"), variant, nil)
	if err != nil {
		return nil, err
	}
	if tune > 0 {
		spec.Learners, spec.Tune = []string{"boosting"}, tune
	}
	folds, err := train.FoldsFor("rule", t, spec)
	if err != nil {
		return nil, err
	}
	return train.CrossValidate(ctx, t, spec, folds, func(stage string, done, total int) {
		if done == total {
			fmt.Fprintf(os.Stderr, "%s%s: %s\n", filepath.Base(folder), strings.TrimSuffix(" "+variant, " "), stage)
		}
	})
}

// row is one learner beside the best figures of some peers, and whether it holds up.
func row(p peerTable, r train.CrossValidation, among []string) (cells []string, ok bool) {
	tolerance := boostingTolerance
	if r.Learner == "logistic" {
		tolerance = logisticTolerance
	}
	peer := figures{LogLoss: math.Inf(1)}
	for _, name := range among {
		if f, known := p.Peers[name]; known {
			peer.ROCAUC, peer.LogLoss = max(peer.ROCAUC, f.ROCAUC), min(peer.LogLoss, f.LogLoss)
		}
	}
	auc, loss := r.ROCAUC-peer.ROCAUC, peer.LogLoss-r.LogLoss
	ok = auc >= -tolerance && loss >= -tolerance
	return []string{p.name(), r.Learner, four(r.ROCAUC), four(peer.ROCAUC), signed(auc), four(r.LogLoss), four(peer.LogLoss), signed(loss),
		fmt.Sprintf("%.0f", r.Seconds), map[bool]string{true: "holds", false: "SHORT"}[ok]}, ok
}

const qualityFile = "docs/QUALITY.md"

// writeQuality writes the figures as a page.
func writeQuality(ctx context.Context, byDefault, tuned *compared) error {
	commit, err := commitNow(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("# Quality\n\nOur learners beside other libraries, by `go run ./bench quality --data DIR --write`: five folds by the\n" +
		"fold rule (a row's fold is the number of rows before it that have its label, mod 5), the mean over the folds,\n" +
		"settings and calibration chosen within each fold's training rows. Seconds are of all fits of five folds, the choice of settings included.\n")
	for _, settings := range []struct {
		title string
		*compared
	}{{"At default settings", byDefault}, {fmt.Sprintf("Tuned, --tune %d", train.Trials), tuned}} {
		fmt.Fprintf(&b, "\n## %s\n\n", settings.title)
		for _, part := range settings.parts() {
			if part.title != "" {
				fmt.Fprintf(&b, "\n### %s\n\n", part.title)
			}
			for i, r := range part.rows {
				b.WriteString("| " + strings.Join(r, " | ") + " |\n")
				if i == 0 {
					b.WriteString(strings.Repeat("|---", len(r)) + "|\n")
				}
			}
			fmt.Fprintf(&b, "\n%s\n", part.legend)
		}
	}
	fmt.Fprintf(&b, "\nCommit %s. Machine: %s.\n", commit, machine())
	return os.WriteFile(qualityFile, []byte(b.String()), 0o644)
}
