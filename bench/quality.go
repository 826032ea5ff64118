package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	ROCAUC  float64 `json:"roc_auc"`
	LogLoss float64 `json:"log_loss"`
}

type peerTable struct {
	Table   string             `json:"table"`
	Variant string             `json:"variant"`
	Peers   map[string]figures `json:"peers"`
}

// A logistic regression has one right answer; a boosted model is held against
// the better of two libraries that boost the same way.
const (
	logisticTolerance = 0.001
	boostingTolerance = 0.0005
)

func qualityCommand() *cobra.Command {
	var data, only string
	var write bool
	var tune int
	c := &cobra.Command{
		Use:   "quality --data DIR",
		Short: "cross-validate the learners at default settings beside other libraries",
		Long: `Cross-validates logistic and boosting, at default settings and by the fold rule, on
every table of DIR that figures of other libraries are known for, and prints them
side by side. DIR has a folder per table, with table.csv and schema.json.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if data == "" {
				return errors.New("name the directory of the tables with --data")
			}
			if write && tune > 0 {
				return errors.New("--write is for the figures at default settings: leave out --tune")
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

func quality(ctx context.Context, dir, only string, write bool, tune int) error {
	var peers struct {
		Source string      `json:"source"`
		Tables []peerTable `json:"tables"`
	}
	if err := json.Unmarshal(peerFigures, &peers); err != nil {
		return err
	}
	rows := [][]string{{"table", "learner", "ROC AUC", "peer", "ahead", "log loss", "peer", "lower", "seconds", "verdict"}}
	short := 0
	var ahead, lower, tables float64
	for _, p := range peers.Tables {
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
			return fmt.Errorf("%s: %w", p.Table, err)
		}
		for _, r := range results {
			cells, ok := row(p, r, tune > 0)
			if !ok {
				short++
			}
			if t := p.Peers["lightgbm_tuned"]; tune > 0 {
				ahead, lower, tables = ahead+r.ROCAUC-t.ROCAUC, lower+t.LogLoss-r.LogLoss, tables+1
			}
			rows = append(rows, cells)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	w.Flush()
	if tune > 0 {
		fmt.Printf("\nPeer: lightgbm_tuned (no worse by more than %v), of %s.\nIn the mean of the tables ahead by %+.5f in ROC AUC, lower by %+.5f in log loss.\n", boostingTolerance, peers.Source, ahead/tables, lower/tables)
		if short > 0 || !(ahead > 0 && lower > 0) {
			return fmt.Errorf("%d figures fall short", short)
		}
		return nil
	}
	legend := fmt.Sprintf("Peer: for logistic the exact optimum of scikit-learn (no worse by more than %v); for boosting the better of lightgbm and hist_gb at their defaults (no worse by more than %v). Peers' figures: %s.",
		logisticTolerance, boostingTolerance, peers.Source)
	fmt.Println("\n" + legend)
	if write {
		if err := writeQuality(ctx, rows, legend); err != nil {
			return err
		}
	}
	if len(rows) == 1 {
		return fmt.Errorf("no table was found in %s", dir)
	}
	if short > 0 {
		return fmt.Errorf("%d figures fall short", short)
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

// row is one learner beside its peer, and whether it holds up.
func row(p peerTable, r train.CrossValidation, tuned bool) (cells []string, ok bool) {
	peer, tolerance := p.Peers["logistic"], logisticTolerance
	switch {
	case tuned:
		peer, tolerance = p.Peers["lightgbm_tuned"], boostingTolerance
	case r.Learner != "logistic":
		peer, tolerance = p.Peers["lightgbm"], boostingTolerance
		if h, there := p.Peers["hist_gb"]; there {
			peer.ROCAUC, peer.LogLoss = max(peer.ROCAUC, h.ROCAUC), min(peer.LogLoss, h.LogLoss)
		}
	}
	auc, loss := r.ROCAUC-peer.ROCAUC, peer.LogLoss-r.LogLoss
	ok = auc >= -tolerance && loss >= -tolerance
	name := p.Table
	if p.Variant != "" {
		name += " (" + p.Variant + ")"
	}
	four := func(x float64) string { return fmt.Sprintf("%.4f", x) }
	signed := func(x float64) string { return fmt.Sprintf("%+.4f", x) }
	return []string{name, r.Learner, four(r.ROCAUC), four(peer.ROCAUC), signed(auc), four(r.LogLoss), four(peer.LogLoss), signed(loss),
		fmt.Sprintf("%.0f", r.Seconds), map[bool]string{true: "holds", false: "SHORT"}[ok]}, ok
}

const qualityFile = "docs/QUALITY.md"

// writeQuality writes the figures as a page.
func writeQuality(ctx context.Context, rows [][]string, legend string) error {
	commit, err := commitNow(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("# Quality\n\nOur learners at default settings beside other libraries at theirs, by `go run ./bench quality --data DIR --write`:\n" +
		"five folds by the fold rule (a row's fold is the number of rows before it that have its label, mod 5), the mean over the folds,\n" +
		"settings and calibration chosen within each fold's training rows. Seconds are of all fits of five folds, the choice of settings included.\n\n")
	for i, r := range rows {
		b.WriteString("| " + strings.Join(r, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(r)) + "|\n")
		}
	}
	fmt.Fprintf(&b, "\n%s\n\nCommit %s. Machine: %s.\n", legend, commit, machine())
	return os.WriteFile(qualityFile, []byte(b.String()), 0o644)
}
