package report

import (
	"fmt"
	"math"
	"time"

	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
)

func iv(value, half float64) evaluate.Interval {
	return evaluate.Interval{Value: value, Low: value - half, High: value + half}
}

// shareOf keeps an interval of a share in 0 to 1.
func shareOf(value, half float64) evaluate.Interval { return clamped(iv(value, half)) }

// judgedBy is a report of quality q, 0 to 1, at a base rate.
func judgedBy(q, base float64) evaluate.Report {
	r := evaluate.Report{
		Rows: 3075, Positives: int(3075 * base), Accounts: 2210,
		BaseRate: shareOf(base, 0.008), MeanProbability: base + 0.002,
		ROCAUC: shareOf(0.6+0.3*q, 0.018), PRAUC: shareOf(base+0.4*q, 0.03), LogLoss: iv(0.21-0.05*q, 0.009), Brier: iv(0.052-0.012*q, 0.003),
		CalibrationError: evaluate.Interval{Value: 0.007, Low: 0.002, High: 0.013}, PrecisionTop10: shareOf(0.28, 0.05),
		BaseLogLoss: 0.2051, BaseBrier: base * (1 - base), Replicates: 500,
	}
	money := 812_400.0
	r.Value = &money
	for k := 1; k <= 10; k++ {
		depth := float64(k) / 10
		captured, worth := 1-math.Pow(1-depth, 1+6*q), 1-math.Pow(1-depth, 1+4*q)
		rows := (3075*k + 9) / 10
		r.Deciles = append(r.Deciles, evaluate.Decile{
			Depth: depth, Rows: rows, Positives: int(captured * float64(r.Positives)), Precision: captured * base / depth,
			Lift: captured / depth, CapturedPositives: captured, CapturedValue: &worth, MeanProbability: captured * base / depth,
		})
		p := 0.004 * math.Pow(1.7, float64(k))
		r.Calibration = append(r.Calibration, evaluate.Bin{Probability: p, Observed: shareOf(p*(1+0.12*math.Sin(float64(3*k))), 0.01+0.15*p), Rows: 307})
	}
	return r
}

// rich is evidence of every kind, as a long history of trials would leave it.
func rich() (*models.Manifest, *models.Metrics, models.Calibration) {
	m := &models.Manifest{
		Format: 1, Name: "trial_conversion", Kind: "tree", Learner: "boosting", Account: "account_id", Moment: "day", Value: "mrr",
		Label: models.Label{Column: "converted", Positive: "yes"},
		Data:  models.Data{Fingerprint: "3f6c1e0a9b7d4c2e8f5a6b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e", Rows: 15376, Positives: 769, Unlabelled: 214, Accounts: 11050},
		Split: models.Split{Kind: "time", Share: 0.2, Horizon: "30d", Trained: 12301, Judged: 3075, Purged: 318, TrainedUntil: "2025-03-31T00:00:00Z"},
		Seed:  1, BaseRate: 0.048,
		LeftOut: []features.LeftOut{{Column: "cancel_at_period_end", Reason: "proven to know the outcome"}, {Column: "tenant", Reason: "one value in every row"}, {Column: "signup_uuid", Reason: "as many values as rows: an id"}},
		Notes:   []string{"214 rows without a label are not learnt from", "318 rows are purged: their horizon reaches into the newest window"},
	}
	for i, b := range []struct {
		name  string
		from  float64
		rows  int
		share float64
	}{{"A", 0.18, 312, 0.31}, {"B", 0.07, 610, 0.102}, {"C", 0.03, 921, 0.031}, {"D", 0.01, 770, 0.011}, {"E", 0, 462, 0.002}} {
		m.Bands = append(m.Bands, models.Band{Name: b.name, From: b.from, Rows: b.rows, Positives: int(b.share * float64(b.rows)), Rate: shareOf(b.share, 0.055/float64(i+1))})
	}
	gain := evaluate.Difference{Mean: 0.0121, Low: 0.0064, High: 0.0178, Rows: 3075, Accounts: 2210}
	e := &models.Metrics{
		Candidates: []models.Candidate{
			{Learner: "logistic", Settings: map[string]float64{"l2": 3}, Report: judgedBy(0.62, 0.05)},
			{Learner: "additive", Settings: map[string]float64{"trees": 210, "rate": 0.05}, Report: judgedBy(0.7, 0.05)},
			{Learner: "boosting", Settings: map[string]float64{"trees": 140, "leaves": 16, "rate": 0.05}, Report: judgedBy(0.86, 0.05), Gain: &gain},
		},
		Chosen:      "boosting",
		Rule:        &models.Rule{Text: "no login in 14 days", Matched: 0.012, Others: 0.071, LogLoss: 0.1951},
		Calibration: models.CalibrationChoice{Kind: "platt", Brier: map[string]float64{"none": 0.04213, "platt": 0.04178, "isotonic": 0.0419, "beta": 0.04181}},
		Gate: models.Gate{Passed: true, Checks: []models.Check{
			{Name: "base rate", Passed: true, Detail: "boosting beats the base rate of 4.80 % for everyone: gain in log loss 0.0382 (0.0311 to 0.0453)"},
			{Name: "best rule", Passed: true, Detail: "boosting beats the best one-line rule (no login in 14 days: 1.2 %, others 7.1 %): gain in log loss 0.0281 (0.0214 to 0.0348)"},
		}},
		Leaks: []models.Leak{
			{Column: "cancel_at_period_end", Verdict: models.LeakProven, Evidence: []models.Evidence{{Kind: "named", Detail: "billing sets it when the customer cancels"}, {Kind: "filled_for_one_class", Detail: "filled in 98 % of rows of one outcome and 0.1 % of the other"}}},
			{Column: "invoice_count", Verdict: models.LeakProven, Kept: true, Cleared: "counted before the moment, checked by billing", Evidence: []models.Evidence{{Kind: "alone", Detail: "alone it has a ROC AUC of 0.981 on later data"}}},
			{Column: "sales_notes", Verdict: models.LeakSuspect, Kept: true, Evidence: []models.Evidence{{Kind: "alone", Detail: "alone it has a ROC AUC of 0.871 (0.852 to 0.889) on later data"}}},
		},
		Shift: &models.Shift{Trained: iv(0.048, 0.004), Judged: iv(0.05, 0.008), Detail: "the intervals overlap"},
		Capacity: []models.Capacity{
			{Accounts: 40, Of: 700, From: 0.24, Precision: shareOf(0.37, 0.08), CapturedPositives: 0.41},
			{Accounts: 100, Of: 700, From: 0.12, Precision: shareOf(0.24, 0.05), CapturedPositives: 0.66},
		},
		Segments: []models.Segment{
			{Column: "country", Value: "DE", Rows: 611, Positives: 29, Accounts: 430, Observed: shareOf(0.047, 0.017), MeanProbability: 0.049},
			{Column: "country", Value: "JP", Rows: 240, Positives: 31, Accounts: 166, Observed: shareOf(0.129, 0.04), MeanProbability: 0.052, Weak: "it promises 5.2 % and 12.9 % came (8.9 to 16.9 %)"},
			{Column: "country", Value: "IS", Rows: 9, Accounts: 3, Observed: shareOf(0, 0.3), MeanProbability: 0.04, Few: true},
			{Column: "plan", Value: "pro", Rows: 1400, Positives: 88, Accounts: 1005, Observed: shareOf(0.063, 0.013), MeanProbability: 0.06},
		},
		Learnt: learntOf(),
		Surrogate: &models.Surrogate{Fidelity: 0.71, Nodes: []models.SurrogateNode{
			{Text: "logins in 28 days above 11", Yes: 1, No: 2, Probability: 0.05, Share: 1},
			{Text: "seats invited above 3", Yes: 3, No: 4, Probability: 0.12, Share: 0.34},
			{Text: "industry is one of fintech, healthcare, logistics, insurance", Yes: 5, No: 6, Probability: 0.014, Share: 0.66},
			{Probability: 0.31, Share: 0.1}, {Probability: 0.041, Share: 0.24},
			{Probability: 0.033, Share: 0.14}, {Probability: 0.008, Share: 0.52},
		}},
	}
	area, loss := iv(0.83, 0.05), iv(0.171, 0.02)
	e.Segments[0].ROCAUC, e.Segments[0].LogLoss, e.Segments[1].ROCAUC, e.Segments[3].ROCAUC = &area, &loss, &area, &area
	e.Backtest = &models.Backtest{Notes: []string{"the first window has the fewest rows to learn from"}}
	for i := range 8 {
		w := models.BacktestWindow{Trained: 4000 + 1100*i, Judged: 1100 + 90*i, Purged: 100, TrainedRate: 0.046 + 0.0004*float64(i), BaseRate: shareOf(0.048+0.004*math.Sin(float64(i)), 0.011)}
		start := time.Date(2024, time.Month(8+i), 1, 0, 0, 0, 0, time.UTC)
		w.From, w.To = start.Format(time.RFC3339), start.AddDate(0, 1, -1).Format(time.RFC3339)
		for k, learner := range []string{"logistic", "additive", "boosting"} {
			wave := 0.008 * math.Cos(float64(i*2+k))
			w.Scores = append(w.Scores, models.BacktestScore{
				Learner: learner, MeanProbability: w.BaseRate.Value + wave/2, ROCAUC: iv(0.78+0.03*float64(k)+wave, 0.03),
				LogLoss: iv(0.182-0.006*float64(k)-wave/2, 0.014), Brier: iv(0.045, 0.004), CalibrationError: shareOf(0.009, 0.006),
			})
		}
		e.Backtest.Windows = append(e.Backtest.Windows, w)
	}
	for k, name := range []string{"", "logins_28d", "plan", "plan"} {
		c := models.Coefficient{Feature: name, Estimate: -2 + 0.7*float64(k), Low: -2.3 + 0.7*float64(k), High: -1.7 + 0.7*float64(k)}
		if name == "plan" {
			c.Level = []string{"free", "pro"}[k-2]
		}
		if k == 1 {
			se := 0.1531
			c.SE = &se
		}
		e.Coefficients = append(e.Coefficients, c)
	}
	e.Scorecard = &models.Scorecard{Base: 600, Odds: 50, Double: 20, Rows: []models.ScorecardRow{
		{Feature: "logins_28d", Bin: "up to 3", Rows: 5100, Positives: 61, WOE: -1.4, IV: 0.31, Points: 41.2},
		{Feature: "logins_28d", Bin: "above 3", Rows: 7201, Positives: 530, WOE: 0.45, IV: 0.12, Points: 12.8},
		{Feature: "plan", Bin: "basic, pro", Rows: 4301, Positives: 302, WOE: 0.38, IV: 0.05, Points: 14.1},
	}}
	return m, e, models.Calibration{Kind: models.CalibrationPlatt, Slope: 0.94, Intercept: -0.11}
}

func learntOf() *models.Learnt {
	l := &models.Learnt{Rows: 3075, Alpha: 0.01, Tested: 74, Stability: &models.Stability{Refits: 20, Correlation: 0.94, TopThree: 0.81}}
	for i, question := range []string{"logins", "industry", "seats_invited", "plan", "company_size", "days_since_signup", "how_did_you_hear_about_us_free_text_group", "integrations", "country", "referrer", "browser"} {
		size := 0.62 * math.Pow(0.7, float64(i))
		l.Drivers = append(l.Drivers, models.Driver{
			Question: question, Features: []string{question, question + "_trend"}, SHAP: iv(size, 0.1*size+0.004),
			Permutation: iv(size/20-0.0006, 0.0008+0.05*size/20), Share: size / 2.02, Worth: i < 8,
		})
	}
	for i, level := range []string{"fintech", "healthcare", "logistics", "public sector", "agriculture"} {
		l.Effects = append(l.Effects, models.LevelEffect{Feature: "industry", Level: level, Rows: 210 - 20*i, LogOdds: iv([...]float64{1.1, 0.62, 0.47, -0.51, -0.9}[i], 0.24), P: 0.00002 * math.Pow(4, float64(i))})
	}
	logins := models.Shape{Feature: "logins_28d"}
	for x := range 40 {
		p := 0.01 + 0.16/(1+math.Exp(-(float64(x)-16)/4))
		logins.Points = append(logins.Points, models.ShapePoint{X: float64(x), Rows: 75, LogOdds: math.Log(p/(1-p)) + 2.9, Probability: p})
	}
	logins.Points = append(logins.Points, models.ShapePoint{Missing: true, Rows: 40, LogOdds: -0.9, Probability: 0.021})
	industry := models.Shape{Feature: "industry", Exact: true}
	for i := range 10 {
		industry.Points = append(industry.Points, models.ShapePoint{Level: fmt.Sprintf("industry %d", i), Rows: 300 - 10*i, LogOdds: 0.5 - 0.1*float64(i), Probability: 0.09 - 0.008*float64(i)})
	}
	seats := models.Shape{Feature: "seats_invited"}
	for x := range 9 {
		seats.Points = append(seats.Points, models.ShapePoint{X: float64(x), Rows: 340, LogOdds: 0.2*float64(x) - 0.7, Probability: 0.03 + 0.009*float64(x)})
	}
	l.Shapes = []models.Shape{logins, industry, seats}
	l.Pairs = []models.Pair{{Features: [2]string{"logins_28d", "seats_invited"}, Strength: 0.21, Size: 0.18}, {Features: [2]string{"plan", "company_size"}, Strength: 0.06, Size: 0.04}}
	return l
}
