package doctor

import (
	"slices"
	"time"

	"propensity/models/evaluate"
)

// Period is a stretch of time with the base rate of its rows.
type Period struct {
	From      string            `json:"from"` // its first day
	Rows      int               `json:"rows"`
	Positives int               `json:"positives"`
	Rate      evaluate.Interval `json:"rate"` // clustered by account, 95 %
}

// mostPeriods is how many a reader will look at.
const mostPeriods = 24

// periods parts the rows by day, week, month, quarter or year, whichever is the
// shortest that gives no more than mostPeriods.
func periods(in Input) ([]Period, error) {
	if in.Moments == nil {
		return nil, nil
	}
	starts := []func(t time.Time) time.Time{
		func(t time.Time) time.Time { return t.Truncate(24 * time.Hour) },
		func(t time.Time) time.Time { // Monday
			return t.Truncate(24*time.Hour).AddDate(0, 0, -(int(t.Weekday())+6)%7)
		},
		func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC) },
		func(t time.Time) time.Time { return time.Date(t.Year(), (t.Month()-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC) },
		func(t time.Time) time.Time { return time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC) },
	}
	var rows map[string][]int
	for _, start := range starts {
		rows = map[string][]int{}
		for i, m := range in.Moments {
			day := start(time.UnixMicro(m).UTC()).Format(time.DateOnly)
			rows[day] = append(rows[day], i)
		}
		if len(rows) <= mostPeriods {
			break
		}
	}
	days := make([]string, 0, len(rows))
	for day := range rows {
		days = append(days, day)
	}
	slices.Sort(days)
	var out []Period
	for _, day := range days {
		p := Period{From: day, Rows: len(rows[day])}
		label := make([]float64, 0, p.Rows)
		var group []int
		for _, i := range rows[day] {
			label = append(label, in.Label[i])
			p.Positives += int(in.Label[i])
			group = append(group, in.Group[i])
		}
		var err error
		if p.Rate, err = evaluate.Rate(label, group); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
