package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"propensity/models"
	"propensity/models/registry"
	"propensity/models/report"
)

// reportOptions are the flags of the report command.
type reportOptions struct {
	out  string
	card bool
}

func (a *app) reportCommand() *cobra.Command {
	var o reportOptions
	c := &cobra.Command{
		Use:   "report MODEL[@VERSION|@ALIAS]",
		Short: "Write what a version is worth as one page for people",
		Long: `Write the evidence of a version as one HTML page: the verdict first, in words, then
how its probabilities held, how it would have done over time, what it looks at, where
it is weak, and what was left out and why. The page needs no network and no script,
and the same version gives the same bytes.

--card gives the model card, in Markdown, instead, and --json manifest, evidence
and verdict for machines; these go to stdout unless --out names a file.`,
		Example: `  propensity report churn@champion
  propensity report churn@7 --out - > churn.html
  propensity report churn@7 --card --out README.md`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.report(args[0], o) },
	}
	c.Flags().StringVar(&o.out, "out", "", "`file` to write; - is stdout (default MODEL.html)")
	c.Flags().BoolVar(&o.card, "card", false, "the model card, in Markdown")
	return c
}

func (a *app) report(name string, o reportOptions) error {
	ref, err := registry.ParseRef(name)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errUsage, err)
	case a.json && o.card:
		return fmt.Errorf("%w: --json and --card: choose one", errUsage)
	}
	if ref, err = a.open().Resolve(ref); err != nil {
		return err
	}
	files, err := a.open().Read(ref.Name, ref.Version)
	if err != nil {
		return err
	}
	art, err := models.ParseArtifact(files)
	if err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	var content []byte
	switch {
	case a.json:
		content, err = report.JSON(&art.Manifest, &art.Metrics, art.Calibration)
	case o.card:
		content = report.Card(&art.Manifest, &art.Metrics, art.Calibration)
	default:
		content, err = report.HTML(&art.Manifest, &art.Metrics, art.Calibration)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	if o.out == "" {
		o.out = "-"
		if !a.json && !o.card {
			o.out = ref.Name + ".html"
		}
	}
	if err := a.save(o.out, content); err != nil {
		return err
	}
	if o.out != "-" {
		a.say("%s: %s", ref, o.out)
	}
	return nil
}
