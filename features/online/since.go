package online

import (
	"math"
	"time"

	"propensity/datasets"
	"propensity/features/spec"
)

// SinceOf asks for the facts that rows of a project can show at a moment, or at any
// later one: of each source those that occurred (of intervals: or had not ended)
// within the longest window that looks at it, and all where a feature looks at all
// time. Attributes, users and merges are few and always asked for; of sources that
// the project does not have, nothing is.
func SinceOf(p *spec.Project, moment int64) Since {
	bounds, zone := make([]int64, len(p.Sources)), p.Location()
	for i := range bounds {
		bounds[i] = sinceOf(p, i, moment, zone)
	}
	return func(source string, occurred, end int64) bool {
		s := p.SourceIndex(source)
		return s >= 0 && (occurred >= bounds[s] || p.Sources[s].Kind == spec.Intervals && (end == datasets.MissingTime || end >= bounds[s]))
	}
}

// slack is more than the clocks of a timezone are ever changed by.
const slack = int64(24 * time.Hour / time.Microsecond)

// sinceOf is the first instant of which the features of a source show anything at a
// moment.
func sinceOf(p *spec.Project, source int, moment int64, zone *time.Location) int64 {
	s := &p.Sources[source]
	if s.Kind == spec.Attributes || s.Kind == spec.Users || s.Kind == spec.Merges {
		return math.MinInt64
	}
	since := moment
	for i := range p.Features {
		f := &p.Features[i]
		of, _, err := p.Stream(f.From)
		if err == nil && of != source || f.Agg == spec.Active || f.Agg == spec.ActiveAmount {
			continue // of those, what is true at the moment has not ended
		}
		if err != nil || len(f.Windows) == 0 {
			return math.MinInt64
		}
		for _, w := range f.Windows {
			// A trend looks at a window before the window.
			twice := spec.Window{Months: 2 * w.Months, Micros: 2 * w.Micros}
			since = min(since, twice.Start(moment, zone))
		}
	}
	return since - slack - s.Bridge.Micros - s.Lag.Micros - int64(s.Bridge.Months+s.Lag.Months)*31*slack
}
