package sample

import (
	"fmt"
	"os"
	"path/filepath"

	"propensity/datasets"
)

// Write puts the company into a directory, which is made if need be: the raw
// tables as raw/accounts.csv, raw/answers.csv, raw/subscriptions.csv and, because
// it is large, raw/events.parquet, the finished ones as conversion.csv, churn.csv
// and upsell.csv, the truth as truth.csv, and a README.txt that says what they are.
func (c *Company) Write(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "raw"), 0o755); err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "README.txt"), []byte(c.readme()), 0o644); err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	for _, file := range []struct {
		name  string
		table *datasets.Table
	}{
		{"raw/accounts.csv", c.Accounts},
		{"raw/answers.csv", c.Answers},
		{"raw/events.parquet", c.Events},
		{"raw/subscriptions.csv", c.Subscriptions},
		{"conversion.csv", c.Conversion},
		{"churn.csv", c.Churn},
		{"upsell.csv", c.Upsell},
		{"truth.csv", c.Truth},
	} {
		path := filepath.Join(dir, filepath.FromSlash(file.name))
		if err := datasets.Write(path, file.table, datasets.WriteOptions{}); err != nil {
			return fmt.Errorf("sample: %w", err)
		}
	}
	return nil
}

func (c *Company) readme() string {
	return fmt.Sprintf(`A simulated company
===================

Everything here was drawn by a program (seed %d). No account, person or payment
is real.

raw/            what the company would export on %s
conversion.csv  one row per trial, 7 days after sign-up; label converted, within 14 days
churn.csv       one row per customer every 30 days; label churned, within 90 days
upsell.csv      the same rows; label upsold (mrr up by 10 %% or more), within 90 days
truth.csv       the true probability of each of those rows: to judge a model, not to train one

Left out, because their horizon was not over: %d rows of conversion, %d of churn,
%d of upsell.
`, c.Seed, datasets.FormatTime(c.AsOf), c.Censored.Conversion, c.Censored.Churn, c.Censored.Upsell)
}
