package main

import (
	"github.com/spf13/cobra"
)

// featuresCommand is the parent of what is done with features before training.
func (a *app) featuresCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "features",
		Short: "Make feature tables from raw events, accounts and subscriptions, right in time",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.featuresBuildCommand())
	c.AddCommand(a.featuresCheckCommand())
	c.AddCommand(a.featuresShowCommand())
	c.AddCommand(a.featuresSQLCommand())
	return c
}
