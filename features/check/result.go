package check

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"propensity/features/spec"
)

// finding makes one of a tally: ok if nothing is at fault.
func (t *tally) finding(check, column string, s Severity, of int64, detail string) Finding {
	f := Finding{Check: check, Column: column, Severity: OK, Count: t.count, Of: of, Detail: detail, Examples: t.examples}
	if t.count > 0 {
		f.Severity = s
		f.Share = float64(t.count) / float64(max(of, 1))
		if s == Warning && t.count >= of {
			f.Severity = Error // nothing would be left
		}
	}
	return f
}

// result gathers the findings of a source; all are the examinations of all sources.
func (x *examination) result(all []*examination) Source {
	s := x.source
	out := Source{Name: s.Name, Kind: s.Kind, Files: len(x.input.files), Records: x.records, Filtered: x.filtered, Accounts: x.accounts}
	if x.oldest != missing {
		out.First, out.Last = when(x.oldest), when(x.newest)
	}
	list := slices.Clone(x.input.faults)
	if x.records == 0 && len(list) == 0 {
		list = append(list, Finding{Check: "source", Severity: Warning, Count: 1, Of: 1, Share: 1, Detail: "there is no record"})
	}
	if len(x.input.headers) > 0 {
		list = append(list, x.input.columnFindings()...)
	}
	if x.records > 0 {
		list = append(list, x.ofRecords()...)
		list = append(list, x.among(all)...)
	}
	for _, c := range x.contracts {
		for _, f := range c.findings(all) {
			if f.Of > 0 { // else nobody could be asked
				list = append(list, f)
			}
		}
	}
	list = append(list, x.fresh()...)
	told := slices.ContainsFunc(list, func(f Finding) bool {
		return f.Severity == Error && slices.Contains([]string{"source", "columns", "types"}, f.Check)
	})
	if err := x.input.unusable; err != nil && !told {
		list = append(list, Finding{Check: "source", Severity: Error, Count: 1, Of: 1, Share: 1, Detail: err.Error()})
	}
	worst(list)
	out.Findings = list
	return out
}

// ofRecords are the findings about single records.
func (x *examination) ofRecords() (out []Finding) {
	s, of := x.source, x.kept
	add := func(t *tally, check, column string, severity Severity, of int64, detail string) {
		out = append(out, t.finding(check, column, severity, of, detail))
	}
	for _, name := range slices.Sorted(maps.Keys(x.wrong)) {
		add(x.wrong[name], "types", name, Error, x.records, "not a "+x.input.kind(name).String())
	}
	if len(x.wrong) == 0 {
		out = append(out, Finding{Check: "types", Severity: OK, Of: x.records, Detail: "values that are not of the kind of their column"})
	}
	account := s.Account
	if s.Kind == spec.Merges {
		account = s.Into
	}
	if s.User != "" && s.Kind != spec.Users {
		add(&x.noUser, "users", s.User, Warning, of, "their user is of no account")
	} else {
		add(&x.noAccount, "account", account, Warning, of, "no account id")
	}
	if s.Kind == spec.Merges {
		add(&x.nothing, "merges", s.FromAccount, Warning, of, "no account that was merged, or one merged into itself")
	}
	time := x.timeColumn()
	if time == "" {
		if x.twice != nil {
			all, _, _ := x.twice.count()
			f := (&tally{all, x.twice.examples}).finding("account", account, Warning, int64(len(x.twice.first)), "accounts on more than one record without a time, of all accounts")
			f.OneIn = x.twice.oneIn()
			out = append(out, f)
		}
	} else {
		add(&x.noTime, "time", time, Warning, of, "no time, or one that cannot be read")
		add(&x.early, "old", time, Warning, of, "dated before 1990")
		add(&x.future, "future", time, Warning, of, "dated after "+when(x.c.o.Now))
	}
	if s.Kind == spec.Intervals {
		add(&x.ended, "end", s.End, Warning, of, "ended before they started")
		if x.noEnd.count > 0 {
			add(&x.noEnd, "end", s.End, Warning, of, "an end that cannot be read, taken as not come")
		}
		overlaps := x.overlaps()
		add(&overlaps, "overlap", "", Note, int64(len(x.intervals)), "begin while another one of the account is true")
	}
	if s.Arrived != "" {
		if x.noArrival.count > 0 {
			add(&x.noArrival, "arrival", s.Arrived, Warning, of, "a time of arrival that cannot be read, taken as that of the record")
		}
		add(&x.unarrived, "arrival", s.Arrived, Warning, of, "arrived before they occurred")
		add(&x.clock, "clock", s.Arrived, Note, of, "arrived before the record above them in the file")
		f := Finding{Check: "late", Column: s.Arrived, Severity: OK, Of: x.late.total, Detail: "arrived when they occurred"}
		if x.late.count > 0 {
			f.Severity, f.Count, f.Share = Note, x.late.count, float64(x.late.count)/float64(x.late.total)
			f.Detail = fmt.Sprintf("arrived later than they occurred: half within %s, 9 of 10 within %s, 99 of 100 within %s, all within %s",
				spell(x.late.quantile(0.5)), spell(x.late.quantile(0.9)), spell(x.late.quantile(0.99)), spell(x.late.most))
		}
		if s.Checks.Late > 0 {
			add(&x.tooLate, "late", s.Arrived, Error, of, "arrived more than "+spell(s.Checks.Late.Microseconds())+" after they occurred")
		}
		out = append(out, f)
	}
	if x.ids != nil {
		out = append(out, x.repeated())
	}
	if s.Currency != "" {
		out = append(out, x.money())
	}
	return out
}

// repeated says how often an id is on several records, and what that is.
func (x *examination) repeated() Finding {
	all, otherAccount, different := x.ids.count()
	f := (&tally{all, x.ids.examples}).finding("id", x.source.ID, Note, int64(len(x.ids.first)), "ids on more than one record, of all ids")
	if all > 0 {
		f.Detail = fmt.Sprintf("ids on more than one record, of all ids: %d say the same again, %d correct themselves, %d are of several accounts",
			all-otherAccount-different, different, otherAccount)
		if otherAccount > 0 {
			f.Severity = Warning
		}
	}
	if slices.Contains(x.source.Checks.Unique, x.source.ID) {
		if f.Check = "unique"; all > 0 {
			f.Severity = Error
		}
	}
	f.OneIn = x.ids.oneIn()
	return f
}

// money says in which currencies amounts are.
func (x *examination) money() Finding {
	names := slices.SortedFunc(maps.Keys(x.currencies), func(a, b string) int {
		return cmp.Or(cmp.Compare(x.currencies[b].count, x.currencies[a].count), cmp.Compare(a, b))
	})
	f := Finding{Check: "currency", Column: x.source.Currency, Severity: OK, Of: x.kept, Detail: "amounts not in the most frequent currency"}
	if len(names) < 2 {
		return f
	}
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s %d", name, x.currencies[name].count))
	}
	for _, name := range names[1:] {
		f.Count += x.currencies[name].count
		f.Examples = append(f.Examples, x.currencies[name].examples[0])
	}
	f.Examples = f.Examples[:min(len(f.Examples), examplesOf)]
	f.Severity, f.Share = Warning, float64(f.Count)/float64(x.kept)
	f.Detail += ": " + strings.Join(parts, ", ") + "; they cannot be added up"
	return f
}

// overlaps counts intervals that begin while another one of the account is true.
func (x *examination) overlaps() (t tally) {
	slices.SortStableFunc(x.intervals, func(a, b span) int { return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.start, b.start)) })
	account := noAccount
	var began, end int64 // of the one that is true longest
	for _, s := range x.intervals {
		until := s.end
		if until == missing {
			until = math.MaxInt64
		}
		if s.account == account && s.start < end {
			t.add(func() Example {
				s.example.Account = x.c.ids[s.account]
				s.example.Value = when(s.start) + ", while one is true that began " + when(began)
				return s.example
			})
		}
		if s.account != account || until > end {
			account, began, end = s.account, s.start, until
		}
	}
	return t
}

// among are the findings about the accounts of several sources.
func (x *examination) among(all []*examination) (out []Finding) {
	s := x.source
	first := slices.IndexFunc(all, func(o *examination) bool { return o.source.Kind == spec.Attributes && o.records > 0 })
	if first < 0 || s.Kind == spec.Merges {
		return nil
	}
	if s.Kind == spec.Attributes {
		if x != all[first] {
			return nil
		}
		var silent tally
		var of int64
		for account, listed := range x.c.listed {
			if !listed {
				continue
			}
			of++
			if !slices.ContainsFunc(all, func(o *examination) bool {
				return o.source.Kind != spec.Attributes && o.source.Kind != spec.Users && account < len(o.has) && o.has[account]
			}) {
				silent.add(func() Example { return Example{Account: x.c.ids[account]} })
			}
		}
		return []Finding{silent.finding("silent", "", Note, of, "accounts without a record in any other source")}
	}
	var strangers tally
	for account, has := range x.has {
		if has && !x.c.listed[account] {
			strangers.add(func() Example { return Example{Account: x.c.ids[account]} })
		}
	}
	out = append(out, strangers.finding("known", "", Warning, int64(x.accounts), "accounts that "+all[first].source.Name+" does not have"))
	if dated := x.timeColumn() != "" && s.Kind != spec.Users; dated && slices.ContainsFunc(all, func(o *examination) bool { return o.source.Kind == spec.Attributes && o.source.Time != "" }) {
		out = append(out, x.unborn.finding("sign-up", x.timeColumn(), Warning, x.kept, "dated before the account signed up"))
	}
	return out
}

// fresh is the contract that the newest record is not too old.
func (x *examination) fresh() []Finding {
	most := x.source.Checks.Fresh.Microseconds()
	if most == 0 {
		return nil
	}
	f := Finding{Check: "fresh", Severity: OK, Of: 1, Detail: "there is no record with a time"}
	late := x.arrival == missing
	if !late {
		age := max(0, x.c.o.Now-x.arrival)
		f.Detail = fmt.Sprintf("the newest record is %s old; at most %s are asked for", spell(age), spell(most))
		late = age > most
	}
	if late {
		f.Severity, f.Count, f.Share = Error, 1, 1
	}
	return []Finding{f}
}
