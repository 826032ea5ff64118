package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
)

// boosting are the flags of the one learner that is compared.
func boosting() []string {
	return []string{"--learner", "boosting", "--trees", "200", "--leaves", "31", "--rate", "0.1"}
}

// trainArgv is a training run of the product into a registry.
func (b *benchmark) trainArgv(data, registry string, more ...string) []string {
	return append([]string{b.program, "train", "m", "--data", data, "--label", "y", "--registry", registry, "--json", "--quiet"}, more...)
}

// processTables compares whole processes, from a file to a saved model.
func (b *benchmark) processTables(ctx context.Context) ([]table, error) {
	var out []table
	for _, format := range []string{"parquet", "csv"} {
		data, err := b.table(ctx, b.most(), format)
		if err != nil {
			return nil, err
		}
		registry := filepath.Join(b.scratch, "registry")
		run := func(name string, more ...string) contender {
			return contender{
				name: name, ours: true, argv: b.trainArgv(data, registry, more...), parse: parseTrained, fresh: registry,
				okay: []int{3}, // published, but not as champion: that is for quality to say
			}
		}
		all := []contender{run("propensity, boosting, judged and published", boosting()...)}
		if b.chosen("process") {
			byDefault := run("propensity, by default (logistic and boosting), judged and published")
			byDefault.once = true
			all = append(all, byDefault)
		}
		all = append(all, b.peer("LightGBM, read, fitted and saved", "train.py", "lightgbm", data, "--save", filepath.Join(b.scratch, "model.txt"))...)
		for i := range all {
			if !all[i].ours {
				all[i].parse = nil // it saves, and judges nothing
			}
		}
		title := fmt.Sprintf("From a %s file of %d rows to a model, whole process", map[string]string{"parquet": "Parquet", "csv": "CSV"}[format], b.most())
		outcomes, err := alternate(ctx, b.log, title, b.runs, all)
		if err != nil {
			return nil, err
		}
		note := "Two threads; 200 trees of 31 leaves, rate 0.1, on 80 % of the rows. Ours judges the rest, calibrates and publishes the artifact; LightGBM saves its model."
		if b.chosen("process") {
			out = append(out, compare(title+", seconds", note, "wall", outcomes,
				column{"cpu", "CPU seconds", figure}, column{"peak", "peak MB", figure}, column{"roc_auc", "ROC AUC of the held-out rows", fixed}, column{"log_loss", "log loss", fixed}))
		}
		if b.chosen("memory") {
			out = append(out, compare(title+", peak resident MB", note, "peak", outcomes))
		}
	}
	return out, nil
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
