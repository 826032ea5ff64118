package serve

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"propensity/models/evaluate"
	"propensity/serve/database"
	"propensity/serve/monitor"
)

// promtool checks what Prometheus is to read. PROPENSITY_PROMTOOL names it.
func promtool(t *testing.T, in string, arguments ...string) {
	t.Helper()
	path := os.Getenv("PROPENSITY_PROMTOOL")
	if path == "" {
		t.Skip("PROPENSITY_PROMTOOL names no promtool")
	}
	c := exec.Command(path, arguments...)
	c.Stdin = strings.NewReader(in)
	if out, err := c.CombinedOutput(); err != nil || in != "" && len(out) > 0 { // of metrics it says nothing but faults
		t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}

// full is a server that has something of everything to tell.
func full(t *testing.T) *fixture {
	t.Helper()
	db, err := database.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	f := churn(t, Config{Database: db})
	f.scoreMany(t, "churn", 50, usual)
	f.score(t, "churn", requestOf("A-1", usual(1)))
	f.score(t, "churn", "nothing")
	f.server.judgeAll(context.Background())
	// Outcomes that came take months, and the versions of the tests have no evidence.
	r := f.server.monitor.reports[0]
	is := evaluate.Interval{Value: 0.7, Low: 0.6, High: 0.8}
	kept := &monitor.Kept{Now: is, Judged: is}
	r.Settled = &monitor.Settled{
		Scores: 40, Positives: 12, Accounts: 40, Open: 3, Observed: is, Promised: 0.3, P: 1,
		Bands:  []monitor.SettledBand{{Band: "A", Scores: 40, Promised: 0.3, Observed: is, P: 1}},
		ROCAUC: kept, Brier: kept, LogLoss: kept, CalibrationError: kept,
	}
	r.Expected.Judged = &monitor.Promise{BaseRate: is, Brier: is, LogLoss: is, ROCAUC: is}
	return f
}

func TestMetricsPassPromtool(t *testing.T) {
	f := full(t)
	promtool(t, string(f.get(t, "/metrics").body), "check", "metrics")
}

// Metrics are spelled as OpenMetrics for those who ask for that, and name no account.
func TestMetricsAreOpenMetrics(t *testing.T) {
	f := full(t)
	q, err := http.NewRequest(http.MethodGet, f.http.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := f.http.Client().Do(q)
	if err != nil {
		t.Fatal(err)
	}
	r := readReply(t, resp)
	if !strings.HasPrefix(r.header.Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(string(r.body), "# EOF\n") {
		t.Errorf("%s: ...%s", r.header.Get("Content-Type"), r.body[max(0, len(r.body)-100):])
	}
	if strings.Contains(string(r.body), "A-1") {
		t.Error("an account is named")
	}
}

// inUse finds the names of metrics in an expression, with the labels that it looks at.
func inUse(expr string) [][]string {
	return regexp.MustCompile(`((?:propensity|process|go)_\w+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(expr, -1)
}

// told are the metrics that /metrics tells, with a text that has their labels.
func told(t *testing.T, f *fixture) map[string]string {
	t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(string(f.get(t, "/metrics").body)) {
		if name := regexp.MustCompile(`^\w+`).FindString(line); name != "" {
			out[name] += line
		}
	}
	return out
}

func checkExpression(t *testing.T, metrics map[string]string, where, expr string) {
	t.Helper()
	used := inUse(expr)
	if len(used) == 0 {
		t.Errorf("%s: %s has no metric of ours", where, expr)
	}
	for _, m := range used {
		lines, ok := metrics[m[1]]
		if !ok {
			t.Errorf("%s: %s is no metric that the server tells", where, m[1])
			continue
		}
		for _, label := range regexp.MustCompile(`(\w+)\s*[=!]`).FindAllStringSubmatch(m[2], -1) {
			if !strings.Contains(lines, label[1]+"=") {
				t.Errorf("%s: %s has no label %s", where, m[1], label[1])
			}
		}
	}
	by := regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(expr, -1)
	for _, group := range by {
		for _, label := range strings.Split(group[1], ", ") {
			all := ""
			for _, m := range used {
				all += metrics[m[1]]
			}
			if label != "job" && label != "instance" && !strings.Contains(all, label+"=") {
				t.Errorf("%s: no metric of %s has the label %s", where, expr, label)
			}
		}
	}
}

const deploy = "../docs/deploy/"

// Every expression of the alert rules is about metrics that there are.
func TestAlertRules(t *testing.T) {
	b, err := os.ReadFile(deploy + "prometheus/propensity.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	metrics, rules := told(t, full(t)), 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			rules++
			checkExpression(t, metrics, r.Alert, r.Expr)
			if r.Annotations["summary"] == "" || r.Annotations["runbook"] == "" {
				t.Errorf("%s has no summary or no runbook", r.Alert)
			}
		}
	}
	if rules == 0 {
		t.Error("there are no rules")
	}
	promtool(t, "", "check", "rules", deploy+"prometheus/propensity.rules.yaml")
	promtool(t, "", "test", "rules", deploy+"prometheus/propensity.rules.test.yaml")
}

// Every expression of the dashboard is about metrics that there are, and is PromQL.
func TestDashboard(t *testing.T) {
	b, err := os.ReadFile(deploy + "grafana/propensity.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Templating struct {
			List []struct{ Name, Type string }
		}
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &board); err != nil {
		t.Fatal(err)
	}
	if v := board.Templating.List; len(v) == 0 || v[0].Name != "datasource" || v[0].Type != "datasource" {
		t.Errorf("the first variable is no data source: %+v", v)
	}
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	metrics := told(t, full(t))
	var rules []rule
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			checkExpression(t, metrics, p.Title, target.Expr)
			expr := strings.NewReplacer("$__rate_interval", "5m", "$model", "churn").Replace(target.Expr)
			rules = append(rules, rule{"panel", expr})
		}
	}
	if len(rules) < 20 {
		t.Errorf("%d expressions", len(rules))
	}
	for i := range rules {
		rules[i].Record += strings.Repeat("x", i+1) // promtool wants them to differ
	}
	text, err := yaml.Marshal(map[string]any{"groups": []map[string]any{{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", path)
}

// What the monitor tells is in the documentation.
func TestMetricsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../docs/MONITORING.md")
	if err != nil {
		t.Fatal(err)
	}
	documented, found := string(b), 0
	for name := range told(t, full(t)) {
		if strings.HasPrefix(name, "propensity_monitor_") || name == "propensity_values_total" {
			if found++; !strings.Contains(documented, "`"+name+"`") {
				t.Errorf("docs/MONITORING.md has no %s", name)
			}
		}
	}
	if found < 20 {
		t.Errorf("%d metrics of the monitor", found)
	}
}
