package main

import (
	"github.com/spf13/pflag"

	"propensity/serve"
)

// changeFlags are about what changes while a server runs.
type changeFlags struct {
	shadow bool
	queue  int
}

func (o *changeFlags) describe(f *pflag.FlagSet) {
	f.BoolVar(&o.shadow, "shadow", false, "score what a champion scores by its challenger too, behind the answers")
	f.IntVar(&o.queue, "shadow-queue", 1000, "scores that may wait for the challenger; the rest is left out and counted")
}

// fill puts them in cfg.
func (o *changeFlags) fill(cfg *serve.Config) { cfg.Shadow, cfg.ShadowQueue = o.shadow, o.queue }
