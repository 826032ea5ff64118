package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"
)

const deployFolder = "../../docs/deploy"

func deployFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(deployFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// serveFlags are the flags of serve.
func serveFlags(t *testing.T) *pflag.FlagSet {
	t.Helper()
	c, _, err := (&app{}).command().Find([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	c.InheritedFlags() // makes them c.Flags(), too
	return c.Flags()
}

// A file of settings is one that serve takes, with all in it that is left out by a #.
func TestDeploySettings(t *testing.T) {
	for name, text := range map[string]string{
		"serve.yaml":             deployFile(t, "serve.yaml"),
		"serve.yaml, whole":      regexp.MustCompile(`(?m)^# (\S+: \S)`).ReplaceAllString(deployFile(t, "serve.yaml"), "$1"),
		"kubernetes/config.yaml": kubernetes(t, "config.yaml")["data"].(map[string]any)["serve.yaml"].(string),
	} {
		f := serveFlags(t)
		s := &settings{path: write(t, filepath.Join(t.TempDir(), "serve.yaml"), text)}
		if err := s.apply(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s.from["addr"] == "" || s.from["registry"] == "" {
			t.Errorf("%s: %v", name, s.from)
		}
		if strings.HasSuffix(name, "whole") && (s.from["keys"] == "" || s.from["pprof"] == "") {
			t.Errorf("%s: what is left out is not looked at: %v", name, s.from)
		}
	}
}

func kubernetes(t *testing.T, name string) map[string]any {
	t.Helper()
	var all map[string]any
	if err := yaml.UnmarshalWithOptions([]byte(deployFile(t, "kubernetes/"+name)), &all, yaml.Strict()); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return all
}

// at follows keys and indexes into a manifest.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for i, key := range path {
		switch key := key.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[key]
		case int:
			l, _ := v.([]any)
			if key >= len(l) {
				t.Fatalf("nothing at %v", path[:i+1])
			}
			v = l[key]
		}
		if v == nil {
			t.Fatalf("nothing at %v", path[:i+1])
		}
	}
	return v
}

// The manifests hang together: what one names, another has.
func TestDeployKubernetes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(deployFolder, "kubernetes", "*.yaml"))
	if err != nil || len(files) != 6 {
		t.Fatal(files, err)
	}
	names := map[string]bool{}
	for _, path := range files {
		m := kubernetes(t, filepath.Base(path))
		names[at(t, m, "kind").(string)+"/"+at(t, m, "metadata", "name").(string)] = true
		if at(t, m, "apiVersion") == "" {
			t.Error(path)
		}
	}
	d := kubernetes(t, "deployment.yaml")
	labels := at(t, d, "spec", "template", "metadata", "labels", "app.kubernetes.io/name")
	for where, selector := range map[string]any{
		"deployment": at(t, d, "spec", "selector", "matchLabels"), "service": at(t, kubernetes(t, "service.yaml"), "spec", "selector"),
		"budget": at(t, kubernetes(t, "pdb.yaml"), "spec", "selector", "matchLabels"), "policy": at(t, kubernetes(t, "networkpolicy.yaml"), "spec", "podSelector", "matchLabels"),
	} {
		if at(t, selector, "app.kubernetes.io/name") != labels {
			t.Errorf("the %s selects %v", where, selector)
		}
	}
	pod := at(t, d, "spec", "template", "spec")
	container := at(t, pod, "containers", 0)
	for where, name := range map[string]any{
		"ConfigMap": at(t, pod, "volumes", 0, "configMap", "name"), "PersistentVolumeClaim": at(t, pod, "volumes", 2, "persistentVolumeClaim", "claimName"),
	} {
		if !names[where+"/"+name.(string)] {
			t.Errorf("there is no %s %v", where, name)
		}
	}
	for probe, path := range map[string]string{"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"} {
		if get := at(t, container, probe, "httpGet"); at(t, get, "path") != path || at(t, get, "port") != at(t, container, "ports", 0, "name") {
			t.Errorf("%s: %v", probe, get)
		}
	}
	settings := at(t, kubernetes(t, "config.yaml"), "data", "serve.yaml").(string)
	for _, mount := range at(t, container, "volumeMounts").([]any) {
		path := at(t, mount, "mountPath").(string)
		if path != "/etc/propensity" && !strings.Contains(settings, path) {
			t.Errorf("nothing of %s is in the settings", path)
		}
	}
	if args := at(t, container, "args"); at(t, args, 2) != "/etc/propensity/serve.yaml" || at(t, args, 0) != "serve" || at(t, args, 1) != "--settings" {
		t.Errorf("%v", args)
	}
	if !strings.Contains(settings, "addr: :8080\n") || at(t, container, "ports", 0, "containerPort") != uint64(8080) {
		t.Error("the port is not that of the address")
	}
}

// The unit is one that systemd takes.
func TestDeployUnit(t *testing.T) {
	text := deployFile(t, "propensity.service")
	command := regexp.MustCompile(`(?m)^ExecStart=\S+ serve --settings (\S+)$`).FindStringSubmatch(text)
	if command == nil || command[1] != "/etc/propensity/serve.yaml" {
		t.Errorf("ExecStart: %q", command)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not on the PATH")
	}
	program, err := os.Executable() // any that is there
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(t.TempDir(), "propensity.service"), strings.ReplaceAll(text, "/usr/local/bin/propensity", program))
	out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), "propensity.service") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The image is made by the command that the size is checked with.
func TestDeployDockerfile(t *testing.T) {
	text := deployFile(t, "Dockerfile")
	for _, line := range []string{
		"FROM scratch\n", "CGO_ENABLED=0 go build -trimpath -tags nomsgpack -ldflags='-s -w' ", "\nUSER 65532:65532\n",
		"/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/\n", "\nENTRYPOINT [\"/propensity\"]\nCMD [\"serve\"]\n", "\nENV PROPENSITY_SERVE_ADDR=:8080\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q", line)
		}
	}
	if serveFlags(t).Lookup("addr") == nil {
		t.Error("no such setting: addr")
	}
}

// The direct dependencies are listed with the versions that go.mod has.
func TestDeployDependencies(t *testing.T) {
	text, err := os.ReadFile("../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) (v\S+)$`).FindAllStringSubmatch(string(mod), -1) {
		n++
		if !regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(m[1]) + `( \(tests\))? \| ` + regexp.QuoteMeta(m[2]) + ` \| \d{4}-\d\d-\d\d \|$`).Match(text) {
			t.Errorf("docs/OPERATIONS.md does not list %s %s", m[1], m[2])
		}
	}
	if n < 10 {
		t.Errorf("%d dependencies", n)
	}
}
