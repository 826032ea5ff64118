package spec

import "slices"

// export is how a known tool lays out what it exports: the columns of the roles,
// and those that know of the end of an interval.
type export struct {
	name string
	kind Kind
	sign string // a column that only this export has
	// The columns of the roles, "" where there is none.
	account, user, id, time, arrived, start, end, amount, currency, renews string
	atEnd                                                                  []string
}

// exports are the layouts, the one of the kind that is meant without a kind first:
// Segment's and PostHog's tables as they write them to a warehouse or to files,
// Stripe's and Chargebee's subscriptions with the names of their APIs. Of
// subscriptions the tables hold the latest state alone: what is only known when one
// ends stands in atEnd, so that no row knows it before.
var exports = [...]export{
	{name: "segment", sign: "received_at", kind: Events, user: "user_id", id: "id", time: "timestamp", arrived: "received_at"},
	{name: "segment", sign: "received_at", kind: Users, account: "group_id", user: "user_id", id: "id", time: "timestamp", arrived: "received_at"},
	{name: "segment", sign: "received_at", kind: Attributes, account: "group_id", id: "id", time: "timestamp", arrived: "received_at"},
	{name: "posthog", sign: "distinct_id", kind: Events, user: "distinct_id", id: "uuid", time: "timestamp", arrived: "created_at"},
	{name: "stripe", sign: "cancel_at_period_end", kind: Intervals, account: "customer", id: "id", start: "start_date", end: "ended_at", renews: "current_period_end",
		atEnd: []string{"status", "canceled_at", "cancel_at", "cancel_at_period_end", "cancellation_details", "cancellation_reason", "cancellation_feedback"}},
	{name: "chargebee", sign: "current_term_end", kind: Intervals, account: "customer_id", id: "id", start: "started_at", end: "cancelled_at",
		amount: "mrr", currency: "currency_code", renews: "current_term_end",
		atEnd: []string{"status", "cancel_reason", "cancel_reason_code", "cancel_schedule_created_at", "remaining_billing_cycles"}},
}

// roles are the roles of a source beside their columns in the export.
func (e *export) roles(s *Source) [10]struct {
	to     *string
	column string
} {
	return [...]struct {
		to     *string
		column string
	}{
		{&s.Account, e.account}, {&s.User, e.user}, {&s.ID, e.id}, {&s.Time, e.time}, {&s.Arrived, e.arrived},
		{&s.Start, e.start}, {&s.End, e.end}, {&s.Amount, e.amount}, {&s.Currency, e.currency}, {&s.Renews, e.renews},
	}
}

// fill gives a source the kind and those roles that it lacks.
func (e *export) fill(s *Source) {
	s.Kind = e.kind
	for _, r := range e.roles(s) {
		if *r.to == "" {
			*r.to = r.column
		}
	}
}

// exportNames are those of the known tools.
func exportNames() []string {
	var out []string
	for _, e := range exports {
		if len(out) == 0 || out[len(out)-1] != e.name {
			out = append(out, e.name)
		}
	}
	return out
}

// applyExport fills in the roles that the file leaves to the export; one that it
// names itself stays. False: there is no such export, which was told.
func (w *writer) applyExport(s *Source, f fields) bool {
	if s.Export == "" {
		return true
	}
	kind := Kind(f.text("kind"))
	known := false
	for _, e := range exports {
		if e.name != s.Export {
			continue
		}
		known = true
		if kind != "" && kind != e.kind {
			continue
		}
		e.fill(s)
		if !f.has("at_end") {
			s.AtEnd = slices.Clone(e.atEnd)
		}
		return true
	}
	if known {
		f.fault("kind", "of %s there is no known export of kind %s: leave export out and name the columns", s.Export, kind)
		return false
	}
	f.fault("export", "unknown export %q: use %s, or leave it out and name the columns", s.Export, oneOf(exportNames()))
	return false
}
