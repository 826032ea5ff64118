package models

import "propensity/models/evaluate"

// Metrics is the evidence for a version: how it and its rivals did on rows that
// none of them learnt from.
type Metrics struct {
	// Candidates are judged on the same rows, the simplest first; Chosen names one.
	Candidates []Candidate `json:"candidates"`
	Chosen     string      `json:"chosen"`
	// Rule is the best one-line rule of the training rows, judged likewise.
	Rule *Rule `json:"rule,omitempty"`
	// Calibration tells how the calibrator was chosen.
	Calibration CalibrationChoice `json:"calibration"`
	Gate        Gate              `json:"gate"`
	// Importance is the share of each feature, 0 to 1, largest first.
	Importance []Importance `json:"importance"`

	Leaks        []Leak        `json:"leaks,omitempty"`
	Backtest     *Backtest     `json:"backtest,omitempty"`
	Shift        *Shift        `json:"shift,omitempty"`
	Capacity     []Capacity    `json:"capacity,omitempty"`
	Segments     []Segment     `json:"segments,omitempty"`
	Coefficients []Coefficient `json:"coefficients,omitempty"` // of a linear model
	Scorecard    *Scorecard    `json:"scorecard,omitempty"`
	Learnt       *Learnt       `json:"learnt,omitempty"`
	Surrogate    *Surrogate    `json:"surrogate,omitempty"`
}

// Candidate is one learner's model and its quality.
type Candidate struct {
	Learner string `json:"learner"`
	// Settings are the learner's settings, such as the number of trees.
	Settings map[string]float64 `json:"settings,omitempty"`
	Report   evaluate.Report    `json:"report"`
	// Gain is how much lower its log loss is than the candidate's before it that
	// stood until then; absent for the first.
	Gain *evaluate.Difference `json:"gain,omitempty"`
}

// Rule is a one-line rule: rows that match have one probability, the others another.
type Rule struct {
	Text    string  `json:"text"`
	Matched float64 `json:"matched"` // training rate of the rows that match
	Others  float64 `json:"others"`
	LogLoss float64 `json:"log_loss"` // on the rows that judge
}

// CalibrationChoice is the Brier score of each calibrator, out of fold.
type CalibrationChoice struct {
	Kind  string             `json:"kind"`
	Brier map[string]float64 `json:"brier"`
	// Shift is what is added to the log-odds of all; Newest, where windows of time
	// were compared, is what moving each by the window before took off the Brier
	// score.
	Shift  float64              `json:"shift,omitempty"`
	Newest *evaluate.Difference `json:"newest,omitempty"`
}

// Gate is the decision whether the version becomes champion.
type Gate struct {
	Passed bool    `json:"passed"`
	Checks []Check `json:"checks"`
}

// Check is one condition of the gate.
type Check struct {
	Name   string               `json:"name"`
	Passed bool                 `json:"passed"`
	Detail string               `json:"detail"`
	Gain   *evaluate.Difference `json:"gain,omitempty"`
}

// Importance is the share of one feature in what the model says.
type Importance struct {
	Feature string  `json:"feature"`
	Share   float64 `json:"share"`
}

// Candidate is the candidate of that learner; the zero one if there is none.
func (m *Metrics) Candidate(learner string) Candidate {
	for _, c := range m.Candidates {
		if c.Learner == learner {
			return c
		}
	}
	return Candidate{}
}
