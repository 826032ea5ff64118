package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
			if err := quality(c.Context(), data, only); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
	c.Flags().StringVar(&data, "data", "", "`directory` with a folder per table")
	c.Flags().StringVar(&only, "only", "", "one `table`, such as adult")
	return c
}

func quality(ctx context.Context, dir, only string) error {
	var peers struct {
		Source string      `json:"source"`
		Tables []peerTable `json:"tables"`
	}
	if err := json.Unmarshal(peerFigures, &peers); err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "table\tlearner\tROC AUC\tpeer\tahead\tlog loss\tpeer\tlower\tseconds\tverdict")
	short, done := 0, 0
	for _, p := range peers.Tables {
		if only != "" && p.Table != only {
			continue
		}
		results, err := crossValidate(ctx, filepath.Join(dir, p.Table), p.Variant)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(os.Stderr, "%s: not in %s\n", p.Table, dir)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.Table, err)
		}
		done++
		for _, r := range results {
			if !row(w, p, r) {
				short++
			}
		}
	}
	fmt.Fprintln(w)
	w.Flush()
	fmt.Println("peer: logistic against the exact optimum of scikit-learn, within", logisticTolerance, "or better;")
	fmt.Println("boosting against the better of lightgbm and hist_gb at their defaults, no worse by more than", boostingTolerance)
	fmt.Println("peers' figures:", peers.Source)
	if done == 0 {
		return fmt.Errorf("no table was found in %s", dir)
	}
	if short > 0 {
		return fmt.Errorf("%d figures fall short", short)
	}
	return nil
}

func crossValidate(ctx context.Context, folder, variant string) ([]train.CrossValidation, error) {
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

// row prints one learner beside its peer and tells whether it holds up.
func row(w io.Writer, p peerTable, r train.CrossValidation) bool {
	peer, ok := p.Peers["logistic"], false
	auc, loss := r.ROCAUC-peer.ROCAUC, peer.LogLoss-r.LogLoss
	if r.Learner == "logistic" {
		ok = auc >= -logisticTolerance && loss >= -logisticTolerance
	} else {
		peer = p.Peers["lightgbm"]
		if h, there := p.Peers["hist_gb"]; there {
			peer.ROCAUC, peer.LogLoss = max(peer.ROCAUC, h.ROCAUC), min(peer.LogLoss, h.LogLoss)
		}
		auc, loss = r.ROCAUC-peer.ROCAUC, peer.LogLoss-r.LogLoss
		ok = auc >= -boostingTolerance && loss >= -boostingTolerance
	}
	name := p.Table
	if p.Variant != "" {
		name += " (" + p.Variant + ")"
	}
	fmt.Fprintf(w, "%s\t%s\t%.4f\t%.4f\t%+.4f\t%.4f\t%.4f\t%+.4f\t%.0f\t%s\n", name, r.Learner,
		r.ROCAUC, peer.ROCAUC, auc, r.LogLoss, peer.LogLoss, loss, r.Seconds, map[bool]string{true: "holds", false: "SHORT"}[ok])
	return ok
}
