package notify

import (
	"os"
	"strings"
	"testing"
)

// docs/WEBHOOKS.md shows what each type looks like when it comes.
func TestDocsShowEachType(t *testing.T) {
	text, err := os.ReadFile("../../docs/WEBHOOKS.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]any{
		TypeBandChanged: BandChanged{Account: "A-17", Model: "churn", Version: 7, Previous: "B", Band: "A", Was: 0.25, Is: 0.5},
		TypeUsageFell:   UsageFell{Account: "A-17", Model: "churn", Version: 7, Column: "logins_28d_trend", Threshold: -0.5, Was: 0.1, Is: -0.8, AsOf: "2026-03-01T09:30:00Z"},
		TypeAliasMoved:  AliasMoved{Model: "churn", Alias: "champion", Version: 7, Previous: 6, Action: "promote", Actor: "kim", Note: "better on the newest quarter"},
		TypeDriftFound:  DriftFound{Model: "churn", Version: 7, Column: "seats", Verdict: "fix_the_pipe", Detail: "seats is missing in 40 % of rows"},
		TypeTest:        Test{Webhook: "wh_0cpk5ab6g0hj2s8fjhd8e6o9lk"},
	}
	for _, name := range append(Types(), TypeTest) {
		e := Event{Type: name, At: start, Data: examples[name]}
		body, err := e.body()
		if err != nil {
			t.Fatal(err)
		}
		if examples[name] == nil || !strings.Contains(string(text), "\n"+string(body)+"\n") {
			t.Errorf("not there: %s", body)
		}
	}
}
