package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/models"
)

// withOptions is a request for wholeRow with more fields.
func withOptions(more string) string {
	return strings.TrimSuffix(requestOf("A-17", wholeRow), "}") + "," + more + "}"
}

// A probability meets a threshold that it equals, to the last bit.
func TestThreshold(t *testing.T) {
	f := churn(t, Config{})
	p := decodeAs[wire](t, wantStatus(t, f.score(t, "churn", requestOf("A-17", wholeRow)), 200).body).Probability
	for _, c := range []struct {
		threshold float64
		want      bool
	}{{0, true}, {p, true}, {math.Nextafter(p, 0), true}, {math.Nextafter(p, 1), false}, {1, false}} {
		got := wantStatus(t, f.score(t, "churn", withOptions(fmt.Sprintf(`"threshold":%v`, c.threshold))), 200)
		want := fmt.Sprintf(`"meets_threshold":%v`, c.want)
		if !bytes.Contains(got.body, []byte(want)) {
			t.Errorf("threshold %v of %v: want %s in %s", c.threshold, p, want, got.body)
		}
	}
}

// An answer with a threshold is the answer without, and one field more.
func TestOptionsChangeNothingElse(t *testing.T) {
	f := churn(t, Config{})
	plain := wantStatus(t, f.score(t, "churn", requestOf("A-17", wholeRow)), 200).body
	with := wantStatus(t, f.score(t, "churn", withOptions(`"threshold":1`)), 200).body
	if got := bytes.Replace(with, []byte(`"meets_threshold":false,`), nil, 1); !bytes.Equal(got, plain) {
		t.Errorf("got\n%s\nwant\n%s", got, plain)
	}
	all := answerFields[:]
	all = slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == "meets_threshold" })
	names, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if got := wantStatus(t, f.score(t, "churn", withOptions(`"fields":`+string(names))), 200).body; !bytes.Equal(got, plain) {
		t.Errorf("all fields: got\n%s\nwant\n%s", got, plain)
	}
}

// Each subset of the fields gives those fields of the whole answer, in its order.
func TestFields(t *testing.T) {
	var a models.Answer
	var full bytes.Buffer
	a = models.Answer{Account: "A <1>", Model: "churn", Version: 7, AsOf: "2026-03-01T09:30:00Z", Probability: 0.1 + 0.2, Score: 30,
		Percentile: 91.5, Band: "B", BaseRate: 1e-7, Reference: 0.25, Coverage: 0.97, Reasons: []models.Reason{{Feature: "x<y", Points: -2, Text: "é"}}, Warnings: []models.Warning{}}
	if err := writeAnswer(&full, &a, &scoreOptions{hasThreshold: true, threshold: 0.3}); err != nil {
		t.Fatal(err)
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(full.Bytes(), &whole); err != nil || len(whole) != len(answerFields) {
		t.Fatalf("%v, %d fields in %s", err, len(whole), full.Bytes())
	}
	for set := fieldSet(1); set < 1<<len(answerFields); set++ {
		var b bytes.Buffer
		if err := writeAnswer(&b, &a, &scoreOptions{hasThreshold: true, threshold: 0.3, only: set}); err != nil {
			t.Fatal(err)
		}
		var parts []string
		for i, name := range answerFields {
			if set&(1<<i) != 0 {
				parts = append(parts, `"`+name+`":`+string(whole[name]))
			}
		}
		if want := "{" + strings.Join(parts, ",") + "}\n"; b.String() != want {
			t.Fatalf("%b: got\n%swant\n%s", set, b.String(), want)
		}
	}
}

// The fields of an answer by name are those that models.Answer has.
func TestAnswerFieldsAreThoseOfAnAnswer(t *testing.T) {
	b, err := json.Marshal(models.Answer{Account: "a"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	d := json.NewDecoder(bytes.NewReader(b))
	for depth, name := 0, true; ; {
		token, err := d.Token()
		if err != nil {
			break
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			name = true
		case string:
			if depth == 1 && name {
				got = append(got, v)
			}
			name = !name || depth != 1
		default:
			name = true
		}
	}
	want := slices.DeleteFunc(slices.Clone(answerFields[:]), func(n string) bool { return n == "meets_threshold" })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	f := churn(t, Config{})
	for _, c := range []struct{ option, pointer, detail string }{
		{`"threshold":1.5`, "/threshold", "0 to 1"},
		{`"threshold":-1e-9`, "/threshold", "0 to 1"},
		{`"threshold":"0.5"`, "/threshold", "0 to 1"},
		{`"threshold":null`, "/threshold", "0 to 1"},
		{`"fields":"band"`, "/fields", "an array"},
		{`"fields":[]`, "/fields", "is empty"},
		{`"fields":["band",3]`, "/fields/1", "an array of names"},
		{`"fields":["band","bands"]`, "/fields/1", `no field "bands"`},
		{`"fields":["meets_threshold"]`, "/fields", "no threshold"},
		{`"dry_run":1`, "/dry_run", "true or false"},
		{`"reasons":2.5`, "/reasons", "whole number"},
		{`"reasons":1001`, "/reasons", "whole number"},
		{`"reasons":true`, "/reasons", "whole number"},
		{`"dryrun":true`, "/dryrun", "dry_run"},
	} {
		p := decodeAs[problem](t, wantStatus(t, f.score(t, "churn", withOptions(c.option)), 422).body)
		if len(p.Errors) != 1 || p.Errors[0].Pointer != c.pointer || !strings.Contains(p.Errors[0].Detail, c.detail) {
			t.Errorf("%s: %+v", c.option, p.Errors)
		}
	}
	if r := f.score(t, "churn", withOptions(`"reasons":2.0,"fields":["reasons","reasons"]`)); r.status != 200 {
		t.Errorf("2.0 is a whole number: %s", r.body)
	}
}

// A dry run of a version gives its score, which is not counted.
func TestDryRun(t *testing.T) {
	f := churn(t, Config{})
	counted := func() string { return string(f.get(t, "/metrics").body) }
	count := func(text string) int { return strings.Count(text, "\npropensity_scores_total{") }
	want := wantStatus(t, f.score(t, "churn@1", withOptions(`"dry_run":false`)), 200).body
	before := counted()
	if got := wantStatus(t, f.score(t, "churn@1", withOptions(`"dry_run":true`)), 200).body; !bytes.Equal(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	line := func(text string) []string {
		return slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return !strings.HasPrefix(l, "propensity_scores_total{") })
	}
	if diff := cmp.Diff(line(before), line(counted())); diff != "" || count(before) == 0 {
		t.Errorf("a dry run was counted: %s", diff)
	}
}
