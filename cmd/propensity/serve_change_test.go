package main

import (
	"testing"

	"github.com/spf13/pflag"

	"propensity/serve"
)

func TestChangeFlags(t *testing.T) {
	for _, c := range []struct {
		args   []string
		shadow bool
		queue  int
	}{{nil, false, 1000}, {[]string{"--shadow", "--shadow-queue", "5"}, true, 5}} {
		var o changeFlags
		f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		o.describe(f)
		if err := f.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		var cfg serve.Config
		if o.fill(&cfg); cfg.Shadow != c.shadow || cfg.ShadowQueue != c.queue {
			t.Errorf("%v: %+v", c.args, cfg)
		}
	}
}
