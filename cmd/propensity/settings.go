package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"
)

// defaultSettings is the file of settings in the working directory, and its name among
// those of the user.
const defaultSettings = "serve.yaml"

// settings fill the flags of a command that were not given, from the environment, from a
// file of the project and from one of the user, in that order of precedence.
type settings struct {
	prefix string // of variables, such as PROPENSITY_SERVE_
	path   string // of the project's file; "": defaultSettings, if it is there
	// Of the process; tests set others.
	environ []string
	user    string // the user's file; "" is none

	from map[string]string // of each flag that was set, where
}

// newSettings are those of this process.
func newSettings(command string) *settings {
	s := &settings{prefix: "PROPENSITY_" + strings.ToUpper(command) + "_", environ: os.Environ()}
	if dir, err := os.UserConfigDir(); err == nil { // $XDG_CONFIG_HOME, or ~/.config
		s.user = filepath.Join(dir, "propensity", command+".yaml")
	}
	return s
}

// notSettings are flags that say what is to be done, not how to serve.
func notSettings() []string {
	return []string{"help", "version", "settings", "check", "print-settings", "config", "seed", "json"}
}

func settable(f *pflag.FlagSet) (names []string) {
	f.VisitAll(func(flag *pflag.Flag) {
		if !slices.Contains(notSettings(), flag.Name) {
			names = append(names, flag.Name)
		}
	})
	return names
}

// apply sets what the flags do not, and says all that is wrong at once.
func (s *settings) apply(f *pflag.FlagSet) error {
	s.from = map[string]string{}
	for _, name := range settable(f) {
		if f.Changed(name) {
			s.from[name] = "flag"
		}
	}
	var faults []error
	given, err := s.variables(f)
	faults = append(faults, err)
	faults = append(faults, s.set(f, given))
	path, needed := s.path, true
	if path == "" {
		path, needed = defaultSettings, false
	}
	for _, file := range []struct {
		path   string
		needed bool
	}{{path, needed}, {s.user, false}} {
		if file.path == "" {
			continue
		}
		given, err := readSettings(file.path, settable(f))
		if errors.Is(err, os.ErrNotExist) && !file.needed {
			continue
		}
		faults = append(faults, err, s.set(f, given))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return nil
}

// given is a setting outside the flags.
type given struct {
	name, where string
	values      []string
}

// set sets the flags that nothing of a higher precedence has set.
func (s *settings) set(f *pflag.FlagSet, all []given) error {
	var faults []error
	for _, g := range all {
		if s.from[g.name] != "" {
			continue
		}
		s.from[g.name] = g.where
		if _, many := f.Lookup(g.name).Value.(pflag.SliceValue); !many && len(g.values) != 1 {
			faults = append(faults, fmt.Errorf("%s: %s is one value", g.where, g.name))
			continue
		}
		for _, v := range g.values {
			if err := f.Set(g.name, v); err != nil {
				why := errors.Unwrap(err)
				if why == nil {
					why = err
				}
				faults = append(faults, fmt.Errorf("%s: %s cannot be %q: %w", g.where, g.name, v, why))
			}
		}
	}
	return errors.Join(faults...)
}

// variables reads the environment: PROPENSITY_SERVE_MAX_CONNECTIONS is max-connections. Of
// a flag that may be repeated each line is one.
func (s *settings) variables(f *pflag.FlagSet) (all []given, err error) {
	names := settable(f)
	var unknown []string
	for _, v := range s.environ {
		variable, value, _ := strings.Cut(v, "=")
		rest, ok := strings.CutPrefix(variable, s.prefix)
		if !ok {
			continue
		}
		name := strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
		if !slices.Contains(names, name) {
			unknown = append(unknown, variable)
			continue
		}
		g := given{name: name, where: "environment", values: []string{value}}
		if _, many := f.Lookup(name).Value.(pflag.SliceValue); many {
			g.values = strings.Split(strings.TrimRight(value, "\n"), "\n")
		}
		all = append(all, g)
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		err = fmt.Errorf("environment: %s: there is no such setting; there are %s", strings.Join(unknown, ", "), strings.Join(names, ", "))
	}
	slices.SortFunc(all, func(a, b given) int { return strings.Compare(a.name, b.name) })
	return all, err
}

// effective is one setting as it holds.
type effective struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// effective lists all settings, with secrets hidden.
func (s *settings) effective(f *pflag.FlagSet) (all []effective) {
	for _, name := range settable(f) {
		from := s.from[name]
		if from == "" {
			from = "default"
		}
		all = append(all, effective{name, hidden(f.Lookup(name).Value.String()), from})
	}
	return all
}

// reference stands for a secret that is elsewhere.
var reference = regexp.MustCompile(`\$\{(env|file):[^{}]*\}`)

// hidden is an address without its password. References to secrets are shown as they are.
func hidden(value string) string {
	bare := reference.ReplaceAllString(value, "")
	u, err := url.Parse(bare)
	scheme, rest, ok := strings.Cut(bare, "://")
	switch {
	case err != nil && ok && strings.Contains(rest, "@"):
		return scheme + "://..."
	case err == nil && u.User != nil:
		if password, _ := u.User.Password(); password != "" {
			return u.Redacted()
		}
	}
	return value
}

func (a *app) printSettings(all []effective) error {
	if a.json {
		return a.printJSON(all)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, e := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", e.Name, e.Value, e.From)
	}
	return w.Flush()
}
