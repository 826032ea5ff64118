package models

import "propensity/models/evaluate"

// The verdicts on a column that may know the outcome.
const (
	LeakProven  = "proven"  // left out, unless the spec clears it
	LeakSuspect = "suspect" // learnt from, and told
)

// Leak is a column that may know the outcome, and what was decided of it.
type Leak struct {
	Column  string `json:"column"`
	Verdict string `json:"verdict"` // proven or suspect
	// Kept says that it is learnt from.
	Kept bool `json:"kept"`
	// Cleared is the reason that the spec gives against the verdict.
	Cleared  string     `json:"cleared,omitempty"`
	Evidence []Evidence `json:"evidence"`
}

// Evidence is one thing that speaks against a column.
type Evidence struct {
	Kind   string `json:"kind"`   // such as copy, dated_after, filled_for_one_class, alone, named
	Detail string `json:"detail"` // in words, with its figures
	// Figure is what was measured, in a unit that Detail tells; absent if nothing was.
	Figure *evaluate.Interval `json:"figure,omitempty"`
}

// Backtest is how the learners would have done window by window: each window is
// judged by models that learnt only from what was over before it. The last
// window is the one that judged the version.
type Backtest struct {
	Windows []BacktestWindow `json:"windows"` // the oldest first
	Notes   []string         `json:"notes,omitempty"`
}

// BacktestWindow is one window of a backtest.
type BacktestWindow struct {
	From    string `json:"from"` // its first moment, or its first row ("row 32951")
	To      string `json:"to"`   // its last
	Trained int    `json:"trained"`
	Judged  int    `json:"judged"`
	Purged  int    `json:"purged,omitempty"`
	// TrainedRate is the share of positives that the models knew, BaseRate what came.
	TrainedRate float64           `json:"trained_rate"`
	BaseRate    evaluate.Interval `json:"base_rate"`
	Scores      []BacktestScore   `json:"scores"` // in the order of Metrics.Candidates
}

// BacktestScore is one learner in one window.
type BacktestScore struct {
	Learner          string            `json:"learner"`
	MeanProbability  float64           `json:"mean_probability"`
	ROCAUC           evaluate.Interval `json:"roc_auc"`
	LogLoss          evaluate.Interval `json:"log_loss"`
	Brier            evaluate.Interval `json:"brier"`
	CalibrationError evaluate.Interval `json:"calibration_error"`
}

// Shift compares the share of positives among the rows learnt from with that
// among the rows that judge.
type Shift struct {
	Trained evaluate.Interval `json:"trained"`
	Judged  evaluate.Interval `json:"judged"`
	Moved   bool              `json:"moved"` // more than chance explains, and enough to matter
	// Prior is the base rate that the calibration was set to; absent if it was
	// left as it was learnt.
	Prior  *float64 `json:"prior,omitempty"`
	Detail string   `json:"detail"`
}

// Capacity is what working so many accounts each time from the top brings, on
// the rows that judge.
type Capacity struct {
	Accounts int `json:"accounts"` // of PerAccounts that are scored at a time
	Of       int `json:"of"`
	// From is the probability from which an account is among them.
	From              float64           `json:"from"`
	Precision         evaluate.Interval `json:"precision"`
	CapturedPositives float64           `json:"captured_positives"`
}

// Segment is how the chosen model does among the rows of one value of a column.
type Segment struct {
	Column string `json:"column"`
	Value  string `json:"value"`
	Rows   int    `json:"rows"`
	// Positives and Accounts of those rows.
	Positives       int               `json:"positives"`
	Accounts        int               `json:"accounts"`
	Observed        evaluate.Interval `json:"observed"`
	MeanProbability float64           `json:"mean_probability"`
	// ROCAUC and LogLoss are absent where there are too few rows to tell.
	ROCAUC  *evaluate.Interval `json:"roc_auc,omitempty"`
	LogLoss *evaluate.Interval `json:"log_loss,omitempty"`
	// Few says that there are too few accounts to judge: Observed is wide, the rest absent.
	Few bool `json:"few,omitempty"`
	// Weak says what is the matter there; empty: nothing that chance does not explain.
	Weak string `json:"weak,omitempty"`
}

// Coefficient is one weight of a linear model.
type Coefficient struct {
	Feature  string  `json:"feature"` // empty: the intercept
	Level    string  `json:"level,omitempty"`
	Missing  bool    `json:"missing,omitempty"` // the weight of a missing value
	Estimate float64 `json:"estimate"`
	// Low and High bound it, 95 %: by its standard error without a penalty, by
	// resampled accounts with one. SE is absent with a penalty.
	Low  float64  `json:"low"`
	High float64  `json:"high"`
	SE   *float64 `json:"se,omitempty"`
}

// Learnt is what the chosen model learnt, in forms that people can read. It was
// measured on rows that the model did not learn from.
type Learnt struct {
	Rows    int      `json:"rows"` // looked at
	Drivers []Driver `json:"drivers,omitempty"`
	// Effects are the levels of categories that differ from the others of their
	// column beyond doubt: Holm over all levels of all columns, at the level Alpha.
	Alpha   float64       `json:"alpha,omitempty"`
	Tested  int           `json:"tested,omitempty"` // levels
	Effects []LevelEffect `json:"effects,omitempty"`
	Shapes  []Shape       `json:"shapes,omitempty"`
	Pairs   []Pair        `json:"pairs,omitempty"`
	// Stability is how alike the reasons of refits on resampled accounts are.
	Stability *Stability `json:"stability,omitempty"`
}

// Driver is how much a question of the table, one column or several of one
// source, matters to the model.
type Driver struct {
	Question string   `json:"question"`
	Features []string `json:"features"`
	// SHAP is the mean size of what it adds, in log-odds; Permutation how much the
	// log loss rises when its values are dealt anew.
	SHAP        evaluate.Interval `json:"shap"`
	Permutation evaluate.Interval `json:"permutation"`
	Share       float64           `json:"share"` // of the SHAP of all, 0 to 1
	Worth       bool              `json:"worth"` // Permutation is above 0 beyond doubt
}

// LevelEffect is a level of a category that differs from the others, all other
// columns being equal.
type LevelEffect struct {
	Feature string            `json:"feature"`
	Level   string            `json:"level"`
	Rows    int               `json:"rows"`
	LogOdds evaluate.Interval `json:"log_odds"` // against the column's middle level
	P       float64           `json:"p"`        // adjusted by Holm
}

// Shape is the partial dependence of the model on one feature (Friedman 2001,
// section 8.2), or its exact shape function where the model is additive.
type Shape struct {
	Feature string       `json:"feature"`
	Exact   bool         `json:"exact,omitempty"`
	Points  []ShapePoint `json:"points"`
}

// ShapePoint is one value of a shape: a number or the name of a level.
type ShapePoint struct {
	X       float64 `json:"x"`
	Level   string  `json:"level,omitempty"`
	Missing bool    `json:"missing,omitempty"`
	Rows    int     `json:"rows"`
	LogOdds float64 `json:"log_odds"` // against the mean
	// Probability is the mean probability if every row had this value.
	Probability float64 `json:"probability"`
}

// Pair is how much two features matter together beyond each by itself.
type Pair struct {
	Features [2]string `json:"features"`
	Strength float64   `json:"strength"` // share of the variance of their joint effect, 0 to 1
	Size     float64   `json:"size"`     // standard deviation of the joint part, in log-odds
}

// Stability compares the reasons of models fitted again on resampled accounts.
type Stability struct {
	Refits int `json:"refits"`
	// Correlation is the mean rank correlation of the drivers' importance; TopThree
	// the mean share of a row's three largest reasons that a refit gives too.
	Correlation float64 `json:"correlation"`
	TopThree    float64 `json:"top_three"`
}

// Surrogate is one small tree that imitates the model, to look at and not to
// score by.
type Surrogate struct {
	// Fidelity is the share of the variance of the model's log-odds that it
	// explains on rows it was not grown on.
	Fidelity float64         `json:"fidelity"`
	Nodes    []SurrogateNode `json:"nodes"` // the root first
}

// SurrogateNode is a question or a leaf.
type SurrogateNode struct {
	Text        string  `json:"text,omitempty"` // the question; empty in a leaf
	Yes         int     `json:"yes,omitempty"`  // places in Nodes
	No          int     `json:"no,omitempty"`
	Probability float64 `json:"probability"`
	Share       float64 `json:"share"` // of the rows that come by
}

// ScorecardRow is one bin of a scorecard.
type ScorecardRow struct {
	Feature   string  `json:"feature"`
	Bin       string  `json:"bin"` // in words: "up to 12", "above 12", "basic, pro", "missing"
	Rows      int     `json:"rows"`
	Positives int     `json:"positives"`
	WOE       float64 `json:"woe"`
	IV        float64 `json:"iv"` // of the bin; the sum over a feature's bins is its information value
	Points    float64 `json:"points"`
}

// Scorecard is a scorecard as its readers know it.
type Scorecard struct {
	// A row has Base points at odds of Odds to 1 against the positive label, and
	// Double more points wherever the odds of the positive label double: more points,
	// more probable.
	Base   float64        `json:"base"`
	Odds   float64        `json:"odds"`
	Double float64        `json:"double"`
	Rows   []ScorecardRow `json:"rows"`
	// Table is the card as CSV, to be edited and learnt from again.
	Table string `json:"table"`
}
