package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"propensity/serve"
)

// checkServe looks at all that serve would need, and says all that is wrong.
func (a *app) checkServe(ctx context.Context, addr, store string, parts *serveParts) error {
	log, err := parts.observe.logger(a.stderr, true)
	faults := []error{err, parts.observe.check()}
	cfg := serve.Config{Registry: a.open(), Logger: log}
	if store != "" {
		facts, err := openStore(ctx, store)
		if err == nil {
			defer facts.Close()
			cfg.Store = facts
		}
		faults = append(faults, err)
	}
	closing, err := parts.fill(ctx, &cfg)
	defer closing()
	faults = append(faults, err)
	faults = append(faults, serve.Check(ctx, cfg, addr)...)
	var texts []string
	for _, err := range faults {
		if err != nil {
			texts = append(texts, message(err))
		}
	}
	if a.json {
		if err := a.printJSON(map[string]any{"ready": len(texts) == 0, "faults": append([]string{}, texts...)}); err != nil {
			return err
		}
	} else {
		for _, text := range texts {
			a.print("%s", text)
		}
	}
	if len(texts) > 0 {
		return fmt.Errorf("%w: %d faults: the server would not serve as it should", errNo, len(texts))
	}
	if !a.json {
		a.print("ready to serve")
	}
	return nil
}

// serveHow says where settings come from, and what is done with them.
type serveHow struct {
	settings     string
	check, print bool
}

func (o *serveHow) describe(f *pflag.FlagSet) {
	f.StringVar(&o.settings, "settings", "", "`file` of settings, YAML with the names of these flags (default serve.yaml, if it is there)")
	f.BoolVar(&o.check, "check", false, "look at all that serving needs, say all that is wrong and serve nothing; exit code 3 if there is something")
	f.BoolVar(&o.print, "print-settings", false, "show the settings that hold and where each was said, secrets hidden, and serve nothing")
}

// serveAs settles the settings and then does what is to be done with them.
func (a *app) serveAs(c *cobra.Command, how *serveHow, do func(context.Context) error) error {
	s := newSettings("serve")
	s.path = how.settings
	if err := s.apply(c.Flags()); err != nil {
		return err
	}
	if how.print {
		return a.printSettings(s.effective(c.Flags()))
	}
	return do(c.Context())
}
