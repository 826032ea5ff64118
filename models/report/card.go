package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/evaluate"
)

// Card is the model card in Markdown: sections after Mitchell et al., "Model
// Cards for Model Reporting" (2019, section 4), under the front matter that
// Hugging Face reads (model-index). It is part of what the artifact's hash covers
// and may be made before the manifest's Files and Hash are.
func Card(m *models.Manifest, e *models.Metrics, calibration models.Calibration) []byte {
	c := &card{m: m, e: e, chosen: e.Candidate(e.Chosen), calibration: calibration}
	c.frontMatter()
	c.details()
	c.use()
	c.factors()
	c.metrics()
	c.data()
	c.analyses()
	c.why()
	c.looksAt()
	c.leftOut()
	c.section("Ethical considerations")
	c.p("The model repeats the history of the table, with whatever was unfair in it. Look at the segments before a decision about people rests on it, and leave out columns that such a decision may not rest on.")
	c.section("Caveats and recommendations")
	for _, s := range verdict(m, e).Care {
		c.p("- Use with care: %s", md(s))
	}
	for _, s := range caveats() {
		c.p("- %s", s)
	}
	return c.b.Bytes()
}

type card struct {
	b           bytes.Buffer
	m           *models.Manifest
	e           *models.Metrics
	chosen      models.Candidate
	calibration models.Calibration
}

func (c *card) p(format string, args ...any) { fmt.Fprintf(&c.b, format+"\n", args...) }

func (c *card) section(title string) { c.p("\n## %s\n", title) }

// row writes a row of a table; the head is followed by its line.
func (c *card) row(cells ...string) {
	for i := range cells {
		cells[i] = md(cells[i])
	}
	c.p("| %s |", strings.Join(cells, " | "))
}

func (c *card) head(cells ...string) {
	c.row(cells...)
	c.p("|%s", strings.Repeat("---|", len(cells)))
}

// md keeps text of the data from being taken for Markdown or HTML.
func md(s string) string {
	return strings.NewReplacer("\n", " ", "\r", " ", `\`, `\\`, "|", `\|`, "<", "&lt;", "`", "\\`", "*", `\*`, "[", `\[`).Replace(s)
}

// yamlText is a text as a YAML string: JSON's are, too.
func yamlText(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""`
	}
	return strings.TrimSpace(b.String())
}

func (c *card) frontMatter() {
	r := &c.chosen.Report
	c.p("---")
	c.p("license: other")
	c.p("library_name: propensity")
	c.p("pipeline_tag: tabular-classification")
	c.p("tags:")
	for _, tag := range []string{"tabular-classification", "propensity", c.m.Learner} {
		c.p("- %s", yamlText(tag))
	}
	c.p("metrics:\n- roc_auc\n- log_loss\n- brier_score")
	c.p("model-index:\n- name: %s\n  results:\n  - task:\n      type: tabular-classification", yamlText(c.m.Name))
	c.p("    dataset:\n      type: tabular\n      name: %s", yamlText("rows that judged the model; data "+c.m.Data.Fingerprint))
	c.p("    metrics:")
	for _, f := range figures(r) {
		if f.kind != "" {
			c.p("    - type: %s\n      name: %s\n      value: %s", f.kind, f.name, decimal(f.v.Value, 4))
		}
	}
	c.p("---\n")
}

// named figure of a report; kind is its type for Hugging Face.
type figureOf struct {
	name, kind string
	v          evaluate.Interval
}

func figures(r *evaluate.Report) []figureOf {
	return []figureOf{{"ROC AUC", "roc_auc", r.ROCAUC}, {"PR AUC", "average_precision", r.PRAUC}, {"log loss", "log_loss", r.LogLoss}, {"Brier score", "brier_score", r.Brier},
		{"calibration error", "expected_calibration_error", r.CalibrationError}, {"precision in the top tenth", "", r.PrecisionTop10}, {"base rate", "", r.BaseRate}}
}

func (c *card) details() {
	v := verdict(c.m, c.e)
	c.p("# %s\n", md(c.m.Name))
	c.p("%s\n", v.Headline)
	for _, s := range v.Points {
		c.p("- %s", md(s))
	}
	c.section("Model details")
	c.p("Gives the probability that %s is %s, with reasons. Learner: %s%s. Calibration: %s. Seed: %d.",
		md(c.m.Label.Column), md(c.m.Label.Positive), md(c.m.Learner), settingsText(c.chosen.Settings), calibrationText(c.e, c.calibration), c.m.Seed)
	for _, note := range c.m.Notes {
		c.p("- %s", md(sentence(note)))
	}
}

func (c *card) use() {
	c.section("Intended use")
	c.p("To rank and band the accounts that the table is about, so that people work the right ones first, with the reasons beside the score. Not to decide alone, and not for accounts of another kind than those of the table.")
	if len(c.e.Capacity) > 0 {
		c.p("")
		c.head("worked each time", "of", "probability from", "had the outcome", "95 % interval", "positives captured")
		for _, x := range c.e.Capacity {
			c.row(count(x.Accounts), count(x.Of), percent(x.From), percent(x.Precision.Value), within(x.Precision), percent(x.CapturedPositives))
		}
	}
}

func (c *card) factors() {
	c.section("Factors")
	if len(c.e.Segments) == 0 {
		c.p("No segments were judged.")
		return
	}
	c.head("segment", "rows", "had the outcome", "promised", "ROC AUC", "what is the matter")
	for i, s := range c.e.Segments {
		if i == maxRows {
			c.row(fmt.Sprintf("and %d more", len(c.e.Segments)-i), "", "", "", "", "")
			break
		}
		area, matter := "–", s.Weak
		if s.ROCAUC != nil {
			area = ranged(*s.ROCAUC, 3)
		}
		if s.Few && matter == "" {
			matter = "too few accounts to judge"
		}
		c.row(s.Column+" = "+s.Value, count(s.Rows), rate(s.Observed), percent(s.MeanProbability), area, matter)
	}
}

func (c *card) metrics() {
	c.section("Metrics")
	c.p("On rows that no learner saw; 95 %% intervals, clustered by account.\n")
	c.head("figure", "value", "interval")
	for _, f := range figures(&c.chosen.Report) {
		c.row(f.name, decimal(f.v.Value, 4), between(f.v, 4))
	}
}

func (c *card) data() {
	m := c.m
	c.section("Evaluation data")
	c.p("- Split %s.", md(splitText(m)))
	if x := c.e.Shift; x != nil {
		c.p("- Positives: %s among the rows learnt from, %s among those that judge. %s", rate(x.Trained), rate(x.Judged), md(sentence(x.Detail)))
	}
	c.section("Training data")
	share := ""
	if m.Data.Rows > 0 {
		share = " (" + percent(float64(m.Data.Positives)/float64(m.Data.Rows)) + ")"
	}
	c.p("- %s of %s, %s positive%s.", many(m.Data.Rows, "row"), many(m.Data.Accounts, "account"), count(m.Data.Positives), share)
	if m.Data.Unlabelled > 0 {
		c.p("- %s without a label, left out.", many(m.Data.Unlabelled, "row"))
	}
	if m.Split.TrainedUntil != "" {
		c.p("- Learnt from rows up to %s.", md(day(m.Split.TrainedUntil)))
	}
	c.p("- Fingerprint of the table: %s.", md(m.Data.Fingerprint))
}

func (c *card) analyses() {
	r := &c.chosen.Report
	c.section("Quantitative analyses")
	money := r.Value != nil
	if len(r.Deciles) > 0 {
		head := []string{"down to", "rows", "precision", "lift", "positives captured"}
		if money {
			head = append(head, "money captured")
		}
		c.head(head...)
		for _, d := range r.Deciles {
			cells := []string{percent(d.Depth), count(d.Rows), percent(d.Precision), decimal(d.Lift, 2), percent(d.CapturedPositives)}
			switch {
			case d.CapturedValue != nil:
				cells = append(cells, percent(*d.CapturedValue))
			case money:
				cells = append(cells, "–")
			}
			c.row(cells...)
		}
	}
	c.p("\n### Bands\n")
	for _, b := range c.m.Bands {
		c.p("- %s: from %s; %s were positive (%s, of %s).", md(b.Name), percent(b.From), percent(b.Rate.Value), within(b.Rate), many(b.Rows, "row"))
	}
	if b := c.e.Backtest; b != nil && len(b.Windows) > 0 {
		c.p("\n### Over time\n")
		c.p("Each window is judged by models that learnt only from what was over before it.\n")
		c.head("from", "to", "judged", "had the outcome", "promised", "ROC AUC", "log loss")
		for _, w := range b.Windows {
			if s := scoreOf(&w, c.e.Chosen); s != nil {
				c.row(day(w.From), day(w.To), count(w.Judged), rate(w.BaseRate), percent(s.MeanProbability), ranged(s.ROCAUC, 3), ranged(s.LogLoss, 4))
			}
		}
		if len(b.Notes) > 0 {
			c.p("")
		}
		for _, note := range b.Notes {
			c.p("- %s", md(sentence(note)))
		}
	}
}

func (c *card) why() {
	c.section("Why this model")
	for _, x := range c.e.Candidates {
		gain := ""
		if x.Gain != nil {
			gain = "; over the simpler one: gain in log loss " + ranged(evaluate.Interval{Value: x.Gain.Mean, Low: x.Gain.Low, High: x.Gain.High}, 4)
		}
		c.p("- %s: ROC AUC %s, log loss %s%s.", md(x.Learner), decimal(x.Report.ROCAUC.Value, 4), decimal(x.Report.LogLoss.Value, 4), gain)
	}
	for _, x := range c.e.Gate.Checks {
		c.p("- %s: %s. %s", map[bool]string{true: "passed", false: "NOT passed"}[x.Passed], md(x.Name), md(sentence(x.Detail)))
	}
}

const mostOnCard = 20

func (c *card) looksAt() {
	c.section("What it looks at")
	if l := c.e.Learnt; l != nil && len(l.Drivers) > 0 {
		c.head("question", "share", "log loss without it rises by", "worth asking")
		for i, d := range l.Drivers {
			if i == mostOnCard {
				c.row(fmt.Sprintf("and %d more", len(l.Drivers)-i), "", "", "")
				break
			}
			c.row(d.Question, percent(d.Share), ranged(d.Permutation, 4), map[bool]string{true: "yes", false: "no proof"}[d.Worth])
		}
		if len(l.Effects) > 0 {
			c.p("\nLevels that stand out beyond doubt (Holm, %s):\n", percent(l.Alpha))
			for _, x := range l.Effects {
				c.p("- %s = %s: log-odds %s.", md(x.Feature), md(x.Level), ranged(x.LogOdds, 2))
			}
		}
	} else {
		for k, f := range c.e.Importance {
			if k == mostOnCard {
				c.p("- and %d more.", len(c.e.Importance)-k)
				break
			}
			c.p("- %s: %s.", md(f.Feature), percent(f.Share))
		}
	}
	if x := c.e.Surrogate; x != nil {
		if picture := surrogateText(x); picture != "" {
			c.p("\n### The model as one tree\n")
			c.p("One small tree that imitates the model, to read and not to score by. It explains %s of\nthe variance of the model's log-odds on rows it was not grown on.\n\n```\n%s```", percent(x.Fidelity), picture)
		}
	}
}

func (c *card) leftOut() {
	if len(c.e.Leaks)+len(c.m.LeftOut) == 0 {
		return
	}
	c.section("What was left out")
	court := map[string]bool{}
	for i := range c.e.Leaks {
		l := &c.e.Leaks[i]
		court[l.Column] = !l.Kept
		c.p("- %s: %s, %s. %s", md(l.Column), md(l.Verdict), md(decision(l)), md(evidenceText(l)))
	}
	for _, l := range c.m.LeftOut {
		if !court[l.Column] {
			c.p("- %s: %s", md(l.Column), md(sentence(l.Reason)))
		}
	}
}

// settingsText names a learner's settings, those that shape it most first.
func settingsText(s map[string]float64) string {
	first := []string{"trees", "leaves", "rate", "l2", "min_rows", "min_gain", "column_share", "row_share", "category_smooth", "category_one_hot", "trials", "depth", "rows"}
	var rest []string
	for name := range s {
		if !slices.Contains(first, name) {
			rest = append(rest, name)
		}
	}
	sort.Strings(rest)
	var parts []string
	for _, name := range append(first, rest...) {
		if v, ok := s[name]; ok {
			parts = append(parts, name+" "+datasets.FormatNumber(v))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func calibrationKinds(e *models.Metrics) []string {
	var kinds []string
	for kind := range e.Calibration.Brier {
		kinds = append(kinds, kind)
	}
	sort.Strings(kinds)
	return kinds
}
