package serve

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"propensity/serve/monitor"
)

// monitorMetrics tells what is counted, and the judgements of the last round.
type monitorMetrics struct{ *Server }

// monitorDescs are the metrics, in the order in which they are told.
type monitorDescs struct {
	values, moved, drifted, importance    *prometheus.Desc
	verdict, scores, judged               *prometheus.Desc
	mean, meanJudged, answers             *prometheus.Desc
	expectedAUC, expectedBrier            *prometheus.Desc
	outcomes, observed, promised          *prometheus.Desc
	settledAUC, judgedAUC, settledBrier   *prometheus.Desc
	calibrationError, judgedBrier, settle *prometheus.Desc
}

func newMonitorDescs() *monitorDescs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("propensity_"+name, help, append([]string{"model", "version"}, labels...), nil)
	}
	return &monitorDescs{
		values:     desc("values_total", "Values that were scored, by column and state (known, missing, unseen, empty, out_of_range).", "column", "state"),
		moved:      desc("monitor_column_moved_ratio", "By how much the share of a column that moved most has moved for sure since training, 0 to 1.", "column"),
		drifted:    desc("monitor_column_drifted", "1 if a column has moved beyond chance and it matters, else 0.", "column"),
		importance: desc("monitor_column_importance_ratio", "Share of a column in the model, 0 to 1.", "column"),
		verdict:    desc("monitor_verdict", "1 for the verdict of the last judgement (fine, wait, fix_the_pipe, retrain), else 0.", "verdict"),
		scores:     desc("monitor_scores", "Scores that the last judgement was made by."),
		judged:     desc("monitor_effective_scores", "Independent rows that these scores are worth."),
		mean:       desc("monitor_mean_probability_ratio", "Mean probability of the scores that were judged."),
		meanJudged: desc("monitor_baseline_probability_ratio", "Mean probability of the rows that judged the version when it was trained."),
		answers:    desc("monitor_answers_moved_ratio", "By how much the probabilities have moved for sure: as of a column."),
		expectedAUC: desc("monitor_expected_roc_auc_ratio",
			"ROC AUC to be expected of the scores if their probabilities are still calibrated."),
		expectedBrier: desc("monitor_expected_brier_ratio", "Brier score to be expected of the scores if their probabilities are still calibrated."),
		settle:        desc("monitor_settled_scores", "Scores whose outcome is known."),
		outcomes:      desc("monitor_open_scores", "Scores whose horizon is over and whose outcome was not reported."),
		observed:      desc("monitor_observed_ratio", "Share of positives among the scores whose outcome is known, by band; all of them under the band all.", "band"),
		promised:      desc("monitor_promised_ratio", "Mean probability of the scores whose outcome is known, by band; all of them under the band all.", "band"),
		settledAUC:    desc("monitor_settled_roc_auc_ratio", "ROC AUC of the scores whose outcome is known."),
		judgedAUC:     desc("monitor_baseline_roc_auc_ratio", "ROC AUC on the rows that judged the version when it was trained."),
		settledBrier:  desc("monitor_settled_brier_ratio", "Brier score of the scores whose outcome is known."),
		judgedBrier:   desc("monitor_baseline_brier_ratio", "Brier score on the rows that judged the version when it was trained."),
		calibrationError: desc("monitor_settled_calibration_error_ratio",
			"Calibration error of the scores whose outcome is known."),
	}
}

// Describe gives nothing: what there is depends on the versions that are loaded.
func (m *monitorMetrics) Describe(chan<- *prometheus.Desc) {}

func (m *monitorMetrics) Collect(out chan<- prometheus.Metric) {
	d := newMonitorDescs()
	for _, t := range m.monitor.Totals() {
		version := strconv.Itoa(t.Version)
		for _, c := range t.Columns {
			for _, s := range c.States {
				out <- prometheus.MustNewConstMetric(d.values, prometheus.CounterValue, float64(s.Rows), t.Model, version, c.Name, s.State)
			}
		}
	}
	for _, r := range m.judgements() {
		d.report(out, r)
	}
}

// report tells one judgement.
func (d *monitorDescs) report(out chan<- prometheus.Metric, r *monitor.Report) {
	version := strconv.Itoa(r.Version)
	tell := func(desc *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, append([]string{r.Model, version}, labels...)...)
	}
	truth := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	for i := range r.Columns {
		c := &r.Columns[i]
		tell(d.moved, c.Sure(), c.Name)
		tell(d.drifted, truth(c.Matters), c.Name)
		tell(d.importance, c.Importance, c.Name)
	}
	for _, v := range monitor.Verdicts() {
		tell(d.verdict, truth(r.Verdict == v), v)
	}
	tell(d.scores, float64(r.Scores))
	tell(d.judged, r.Effective)
	if a := r.Answers; a != nil {
		tell(d.mean, a.MeanProbability)
		tell(d.meanJudged, a.Judged)
		tell(d.answers, a.Sure())
	}
	if e := r.Expected; e != nil {
		tell(d.expectedBrier, e.Brier)
		if e.ROCAUC != nil {
			tell(d.expectedAUC, *e.ROCAUC)
		}
		if e.Judged != nil {
			tell(d.judgedAUC, e.Judged.ROCAUC.Value)
			tell(d.judgedBrier, e.Judged.Brier.Value)
		}
	}
	s := r.Settled
	if s == nil {
		return
	}
	tell(d.settle, float64(s.Scores))
	tell(d.outcomes, float64(s.Open))
	if s.Scores > 0 {
		tell(d.observed, s.Observed.Value, "all")
		tell(d.promised, s.Promised, "all")
	}
	for _, b := range s.Bands {
		tell(d.observed, b.Observed.Value, b.Band)
		tell(d.promised, b.Promised, b.Band)
	}
	for _, k := range []struct {
		desc *prometheus.Desc
		kept *monitor.Kept
	}{{d.settledAUC, s.ROCAUC}, {d.settledBrier, s.Brier}, {d.calibrationError, s.CalibrationError}} {
		if k.kept != nil {
			tell(k.desc, k.kept.Now.Value)
		}
	}
}
