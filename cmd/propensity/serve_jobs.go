package main

import (
	"github.com/spf13/pflag"

	"propensity/serve"
)

// jobsFlags are about tables that are scored behind the answers.
type jobsFlags struct{ dir string }

func (o *jobsFlags) describe(f *pflag.FlagSet) {
	f.StringVar(&o.dir, "jobs-dir", "", "`directory` of the tables that jobs score, and of what they write; without one there are no jobs")
}

// fill puts them in cfg.
func (o *jobsFlags) fill(cfg *serve.Config) { cfg.JobsDir = o.dir }
