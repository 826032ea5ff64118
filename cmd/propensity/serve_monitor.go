package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"propensity/serve"
)

// monitorFlags say how far back a server watches.
type monitorFlags struct{ window, keep string }

func (o *monitorFlags) describe(f *pflag.FlagSet) {
	f.StringVar(&o.window, "monitor-window", "7d", "the `time` over whose scores a version is judged")
	f.StringVar(&o.keep, "monitor-keep", "30d", "how long what was counted of scores is kept, such as `30d`")
}

func (o *monitorFlags) fill(cfg *serve.Config) (err error) {
	if o.window != "" {
		if cfg.MonitorWindow, err = parseDays(o.window); err != nil {
			return fmt.Errorf("%w: --monitor-window: %w", errUsage, err)
		}
	}
	if o.keep != "" {
		if cfg.MonitorKeep, err = parseDays(o.keep); err != nil {
			return fmt.Errorf("%w: --monitor-keep: %w", errUsage, err)
		}
	}
	if cfg.MonitorKeep > 0 && cfg.MonitorWindow > cfg.MonitorKeep {
		return fmt.Errorf("%w: --monitor-window %s is longer than --monitor-keep %s", errUsage, o.window, o.keep)
	}
	return nil
}
