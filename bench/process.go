package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
)

// boosting are the flags of the one learner that is compared: no other models are
// fitted, as nobody else fits them.
func boosting() []string {
	return []string{"--quick", "--learner", "boosting", "--trees", "200", "--leaves", "31", "--rate", "0.1"}
}

// trainArgv is a training run of the product into a registry.
func (b *benchmark) trainArgv(data, registry string, more ...string) []string {
	return append([]string{b.program, "train", "m", "--data", data, "--label", "y", "--registry", registry, "--json", "--quiet"}, more...)
}

// whole is how the programs did that go from a file to a saved model.
type whole struct {
	title    string
	outcomes []outcome
}

const wholeNote = "Two threads; 200 trees of 31 leaves, rate 0.1, on 80 % of the rows. Ours looks for leaks, judges the rest, calibrates and publishes the artifact (with --quick: without what it learnt, which the run by default has too); LightGBM saves its model."

// processTables compares whole processes, from a file to a saved model.
func (b *benchmark) processTables(ctx context.Context) ([]table, error) {
	runs, err := b.processes(ctx)
	var out []table
	for _, r := range runs {
		out = append(out, compare(r.title+", seconds", wholeNote, "wall", r.outcomes,
			column{"cpu", "CPU seconds", figure}, column{"peak", "peak MB", figure}, column{"roc_auc", "ROC AUC of the held-out rows", fixed}, column{"log_loss", "log loss", fixed}))
	}
	return out, err
}

// memoryTables compares the memory of the same runs.
func (b *benchmark) memoryTables(ctx context.Context) ([]table, error) {
	runs, err := b.processes(ctx)
	var out []table
	for _, r := range runs {
		out = append(out, compare(r.title+", peak resident MB", wholeNote, "peak", r.outcomes))
	}
	return out, err
}

// processes runs them, once a sitting.
func (b *benchmark) processes(ctx context.Context) ([]whole, error) {
	if b.wholes != nil {
		return b.wholes, nil
	}
	var wholes []whole
	for _, format := range []string{"parquet", "csv"} {
		data, err := b.table(ctx, b.most(), format)
		if err != nil {
			return nil, err
		}
		title := fmt.Sprintf("From a %s file of %d rows to a model, whole process", formatName(format), b.most())
		outcomes, err := alternate(ctx, b.log, title, b.runs, b.trainers(data))
		if err != nil {
			return nil, err
		}
		wholes = append(wholes, whole{title, outcomes})
	}
	b.wholes = wholes
	return wholes, nil
}

func formatName(extension string) string {
	return map[string]string{"csv": "CSV", "parquet": "Parquet"}[extension]
}

// trainers are the programs, for one file.
func (b *benchmark) trainers(data string) []contender {
	registry := filepath.Join(b.scratch, "registry")
	run := func(name string, more ...string) contender {
		return contender{
			name: name, ours: true, argv: b.trainArgv(data, registry, more...), parse: parseTrained, fresh: registry,
			okay: []int{3}, // published, but not as champion: that is for quality to say
		}
	}
	byDefault := run("propensity, by default (logistic and boosting), judged and published")
	byDefault.once = true
	all := []contender{run("propensity, boosting, judged and published", boosting()...), byDefault}
	for _, c := range b.peer("LightGBM, read, fitted and saved", "train.py", "lightgbm", data, "--save", filepath.Join(b.scratch, "model.txt")) {
		c.parse = nil // it judges nothing
		all = append(all, c)
	}
	return all
}

// parseTrained reads the quality of the published candidate from what
// `propensity train --json` prints.
func parseTrained(stdout []byte) (measures, error) {
	type value struct {
		Value float64 `json:"value"`
	}
	var t struct {
		Metrics struct {
			Chosen     string `json:"chosen"`
			Candidates []struct {
				Learner string `json:"learner"`
				Report  struct {
					ROCAUC  value `json:"roc_auc"`
					LogLoss value `json:"log_loss"`
				} `json:"report"`
			} `json:"candidates"`
		} `json:"metrics"`
	}
	if err := json.Unmarshal(stdout, &t); err != nil {
		return nil, fmt.Errorf("the result of train: %w", err)
	}
	for _, c := range t.Metrics.Candidates {
		if c.Learner == t.Metrics.Chosen {
			return measures{"roc_auc": c.Report.ROCAUC.Value, "log_loss": c.Report.LogLoss.Value}, nil
		}
	}
	return nil, fmt.Errorf("the result of train has no candidate %q", t.Metrics.Chosen)
}
