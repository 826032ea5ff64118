package report

import (
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"propensity/models"
)

// The card says what a reader must know, follows from the artifact alone and
// holds no time of its making and no machine.
func TestCard(t *testing.T) {
	m, e, c := rich()
	text := string(Card(m, e, c))
	for _, told := range []string{
		"# trial_conversion\n", "## Model details", "## Intended use", "## Factors", "## Metrics", "## Evaluation data", "## Training data", "## Quantitative analyses",
		"## Ethical considerations", "## Caveats and recommendations", // Mitchell et al. 2019
		"15,376 rows of 11,050 accounts, 769 positive (5.0 %)", "Split by time: 12,301 rows to learn from, 3,075 to judge", "ROC AUC", "money captured",
		"- E: from 0 %", "passed: base rate", "best one-line rule", "## What it looks at", "## What was left out", "- tenant: ", m.Data.Fingerprint,
		"| 40 | 700 |", "| country = JP | 240 |", "### Over time", "cancel_at_period_end: proven, left out.", "Use with care: It is weak where country = JP.",
	} {
		if !strings.Contains(text, told) {
			t.Errorf("no %q in\n%s", told, text)
		}
	}
	if found := regexp.MustCompile(`\b20\d\d-\d\d-\d\d|seconds|\d:\d\d|%!|NaN|\bmap\[`).FindString(text); found != "" {
		t.Errorf("the card holds %q:\n%s", found, text)
	}
	for _, x := range []evidence{held(rich()), held(thin()), {&models.Manifest{Name: "m"}, &models.Metrics{}, models.Calibration{}}} {
		columns := 0
		for line := range strings.Lines(string(Card(x.m, x.e, x.c))) {
			n := strings.Count(line, "|")
			if !strings.HasPrefix(line, "|") {
				n = 0
			} else if columns > 0 && n != columns {
				t.Errorf("a row of another width: %s", line)
			}
			columns = n
		}
	}
}

// The front matter is YAML of the shape that Hugging Face reads.
func TestCardFrontMatter(t *testing.T) {
	for _, name := range []string{"churn", `a: "b" <c> #d`, "🙂\n---\nlicense: mit"} {
		m, e, c := rich()
		m.Name, m.Learner = name, name
		_, rest, _ := strings.Cut(string(Card(m, e, c)), "---\n")
		matter, _, ok := strings.Cut(rest, "\n---\n")
		if !ok {
			t.Fatal("no front matter")
		}
		var read struct {
			License string   `yaml:"license"`
			Tags    []string `yaml:"tags"`
			Metrics []string `yaml:"metrics"`
			Index   []struct {
				Name    string `yaml:"name"`
				Results []struct {
					Task    struct{ Type string }
					Dataset struct{ Type, Name string }
					Metrics []struct {
						Type, Name string
						Value      float64
					}
				}
			} `yaml:"model-index"`
		}
		if err := yaml.Unmarshal([]byte(matter), &read); err != nil {
			t.Fatalf("%v\n%s", err, matter)
		}
		if read.License != "other" || len(read.Index) != 1 || read.Index[0].Name != name || read.Tags[2] != name {
			t.Fatalf("%+v", read)
		}
		r := read.Index[0].Results[0]
		if r.Task.Type != "tabular-classification" || r.Dataset.Name == "" || r.Metrics[0].Type != "roc_auc" || r.Metrics[0].Value != 0.858 || len(r.Metrics) != 5 {
			t.Errorf("%+v", r)
		}
	}
}
