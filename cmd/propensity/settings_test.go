package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// someFlags are a number, a time, an address and a list.
func someFlags() *pflag.FlagSet {
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f.String("addr", "127.0.0.1:8080", "")
	f.Int("max-connections", 10, "")
	f.Duration("poll", time.Second, "")
	f.Bool("open-metrics", false, "")
	f.String("store", "", "")
	f.StringArray("usage-fell", nil, "")
	f.Bool("check", false, "")
	return f
}

// Flags, environment, project's file, user's file, defaults: in that order.
func TestSettingsPrecedence(t *testing.T) {
	dir := t.TempDir()
	s := &settings{
		prefix:  "PROPENSITY_SERVE_",
		path:    write(t, filepath.Join(dir, "project.yaml"), "# ours\naddr: project:3\nmax-connections: 3\npoll: 3s\nusage-fell: [a<1, 'b<2']\n"),
		user:    write(t, filepath.Join(dir, "user", "serve.yaml"), "addr: user:4\nmax-connections: 4\npoll: 4s\nopen-metrics: true\n"),
		environ: []string{"PROPENSITY_SERVE_ADDR=environment:2", "PROPENSITY_SERVE_MAX_CONNECTIONS=2", "PROPENSITY_SERVER=other", "HOME=/"},
	}
	f := someFlags()
	if err := f.Parse([]string{"--addr", "flag:1"}); err != nil {
		t.Fatal(err)
	}
	if err := s.apply(f); err != nil {
		t.Fatal(err)
	}
	want := []effective{
		{"addr", "flag:1", "flag"},
		{"max-connections", "2", "environment"},
		{"open-metrics", "true", s.user + ":4"},
		{"poll", "3s", s.path + ":4"},
		{"store", "", "default"},
		{"usage-fell", "[a<1,b<2]", s.path + ":5"},
	}
	if d := cmp.Diff(want, s.effective(f)); d != "" {
		t.Error(d)
	}
}

// A list from the environment has an item a line, and replaces those of the files.
func TestSettingsLists(t *testing.T) {
	s := &settings{prefix: "PROPENSITY_SERVE_", environ: []string{"PROPENSITY_SERVE_USAGE_FELL=a<1\nb,c<2\n"},
		path: write(t, filepath.Join(t.TempDir(), "p.yaml"), "usage-fell:\n  - z<9\n")}
	f := someFlags()
	if err := s.apply(f); err != nil {
		t.Fatal(err)
	}
	if got, _ := f.GetStringArray("usage-fell"); !slices.Equal(got, []string{"a<1", "b,c<2"}) {
		t.Errorf("%q", got)
	}
}

// All that is wrong is said at once, each with its place.
func TestSettingsFaults(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "s.yaml"), `addr: a:1
port: b:2
addr: c:3
max-connections: many
poll: [1s, 2s]
check: true
store: {url: x}
open-metrics: null
`)
	s := &settings{prefix: "PROPENSITY_SERVE_", path: path, environ: []string{"PROPENSITY_SERVE_POL=1s", "PROPENSITY_SERVE_OPEN_METRICS=perhaps"}}
	err := s.apply(someFlags())
	if !errors.Is(err, errUsage) {
		t.Fatal(err)
	}
	for _, want := range []string{
		`environment: PROPENSITY_SERVE_POL: there is no such setting`,
		`environment: open-metrics cannot be "perhaps"`,
		path + `:2: "port": there is no such setting; there are addr, max-connections`,
		path + `:3: addr is set twice`,
		path + `:4: max-connections cannot be "many"`,
		path + `:5: poll is one value`,
		path + `:6: "check": there is no such setting`,
		path + `:7: store is one value`,
		path + `:8: open-metrics is one value`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said:\n%v", want, err)
		}
	}
	for text, want := range map[string]string{
		"a: [": "it is no YAML", "- a\n": "write settings as name: value", "addr: a\n---\naddr: b\n": "documents", "&a addr: x": "", "addr: *b": "",
	} {
		if err := (&settings{path: write(t, path, text)}).apply(someFlags()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := (&settings{path: path + "x"}).apply(someFlags()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is named and not there: %v", err)
	}
	if err := (&settings{path: write(t, path, "\n# nothing\n")}).apply(someFlags()); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

// No password is shown; what stands for one is.
func TestSettingsHidden(t *testing.T) {
	for value, want := range map[string]string{
		"postgres://u:secret@h/db":          "postgres://u:xxxxx@h/db",
		"postgres://u@h/db":                 "postgres://u@h/db",
		"redis://:secret@h:6379":            "redis://:xxxxx@h:6379",
		"postgres://u:${file:/run/pw}@h/db": "postgres://u:${file:/run/pw}@h/db",
		"postgres://u:sec%ret@h/db":         "postgres://...",
		"sqlite:facts.db":                   "sqlite:facts.db",
		"127.0.0.1:8080":                    "127.0.0.1:8080",
		"postgres://u:p${env:A}secret@h/db": "postgres://u:xxxxx@h/db",
	} {
		if got := hidden(value); got != want {
			t.Errorf("%s is shown as %s, want %s", value, got, want)
		}
	}
}

func TestPrintSettings(t *testing.T) {
	inFolder(t)
	write(t, "serve.yaml", "store: postgres://u:secret@h/db\nlog: json\n")
	t.Setenv("PROPENSITY_SERVE_POLL", "2s")
	out := must(t, exitDone, "serve", "--print-settings", "--addr", "127.0.0.1:1").out
	for _, want := range []string{"addr 127.0.0.1:1 flag", "poll 2s environment", "store postgres://u:xxxxx@h/db serve.yaml:1", "log json serve.yaml:2", "max-connections 10000 default", "registry registry default"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	write(t, "serve.yaml", "stoer: x\n")
	mentions(t, must(t, exitUsage, "serve", "--print-settings").err, "serve.yaml:1", "stoer")
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte("addr: a:1\nusage-fell: [a<1, b<2]\n"))
	f.Add([]byte("addr: |\n  a\n"))
	f.Add([]byte("a: &x [*x]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		flags := someFlags()
		all, err := parseSettings("s.yaml", text, settable(flags))
		for _, g := range all {
			if !slices.Contains(settable(flags), g.name) || !strings.HasPrefix(g.where, "s.yaml:") {
				t.Errorf("%+v", g)
			}
		}
		if err != nil && !strings.HasPrefix(err.Error(), "s.yaml:") {
			t.Error(err)
		}
	})
}
