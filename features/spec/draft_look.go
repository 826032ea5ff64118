package spec

import (
	"path/filepath"
	"slices"
	"strings"

	"propensity/datasets"
)

// looked is what a file seems to be.
type looked struct {
	name    string // of the source
	path    string
	rows    int
	columns []column
	source  Source
	event   *column // whose values say what happened
	why     string  // the kind is guessed
	unused  string  // why nothing can be made of it
	atEnd   []string
	remarks []string // what to check
}

// column is one with what is in it.
type column struct {
	*datasets.Column
	key      string // its name without case and signs: accountid
	present  int
	distinct int
}

// key is a name as it is compared: small letters and digits.
func key(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return -1
	}, name)
}

// The names that columns of a role go by, the likeliest first.
var (
	accountNames = [...]string{"accountid", "companyid", "customerid", "organizationid", "organisationid", "orgid", "workspaceid", "tenantid",
		"teamid", "groupid", "clientid", "account", "company", "customer", "organization", "workspace", "tenant", "client"}
	userNames  = [...]string{"userid", "memberid", "contactid", "personid", "distinctid", "user", "member", "useremail", "email"}
	eventNames = [...]string{"event", "eventname", "eventtype", "action", "activity", "type", "featurename", "feature", "category", "priority", "severity", "channel", "name"}
	happened   = [...]string{"occurredat", "timestamp", "eventtime", "eventat", "happenedat", "time", "datetime", "usagedate", "eventdate", "date", "day", "at", "createdat", "createdon", "sentat", "submittedat", "answeredat"}
	signedUp   = [...]string{"createdat", "signupdate", "signedupat", "signupat", "registeredat", "registrationdate", "joinedat", "created", "signup", "customersince", "since", "answeredat"}
	arrivals   = [...]string{"receivedat", "arrivedat", "loadedat", "ingestedat", "insertedat", "syncedat", "uploadedat", "fivetransynced", "airbyteextractedat"}
	starts     = [...]string{"startedat", "startdate", "start", "startsat", "starton", "validfrom", "begin", "beginat", "activatedat", "openedat", "opened", "submittedat"}
	ends       = [...]string{"endedat", "enddate", "end", "endsat", "endon", "validto", "finishedat", "closedat", "closed", "resolvedat", "cancelledat", "canceledat", "terminatedat", "expiredat",
		"answeredat", "respondedat", "completedat"}
	amounts    = [...]string{"mrr", "mrramount", "monthlyrecurringrevenue", "monthlyamount", "monthlyprice", "monthlycharges", "arr", "arramount", "amount", "price", "revenue"}
	currencies = [...]string{"currency", "currencycode"}
	renewals   = [...]string{"renewsat", "renewaldate", "nextrenewal", "nextrenewalat", "renewal", "renews", "nextbillingat", "currentperiodend", "currenttermend"}
	mergedFrom = [...]string{"fromaccount", "fromaccountid", "oldaccount", "oldaccountid", "fromcompanyid", "mergedfrom"}
	mergedInto = [...]string{"intoaccount", "intoaccountid", "toaccount", "toaccountid", "newaccount", "newaccountid", "mergedinto"}
	personal   = [...]string{"user", "member", "contact", "people", "seat"}
	// What of a name says that a column may know what came of an account: it is as of
	// the export, not as of the moment.
	hindsight = [...]string{"churn", "cancel", "convert", "won", "lost", "outcome", "lifetime", "ltv", "total", "last", "latest", "updated", "modified",
		"status", "stage", "lifecycle", "health", "refund", "expired", "ended", "reason", "resolution", "satisfaction"}
)

// look looks at a file's columns.
func look(s Sample) *looked {
	l := &looked{path: s.Path, rows: s.Table.Rows()}
	for i := range s.Table.Columns {
		c := &s.Table.Columns[i]
		number, first := c.Distinct()
		present := 0
		for _, n := range number {
			if n >= 0 {
				present++
			}
		}
		l.columns = append(l.columns, column{Column: c, key: key(c.Name), present: present, distinct: len(first)})
	}
	return l
}

// unique says that no value is there twice.
func (c *column) unique() bool { return c.present > 0 && c.distinct == c.present }

// holdsIDs says that values may be ids.
func (c *column) holdsIDs() bool { return c.Kind != datasets.Time && c.Kind != datasets.Boolean }

// time says that a column may be one of instants.
func (c *column) time() bool { return c.Kind == datasets.Time || c.present == 0 }

// isID says that a name is that of an id.
func isID(name string) bool {
	for _, end := range [...]string{"_id", "_ID", "Id", "ID", " id", "-id", "uuid"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return key(name) == "id"
}

// find is the column of the likeliest of those names.
func (l *looked) find(names []string, fits func(c *column) bool) *column {
	for _, name := range names {
		for i := range l.columns {
			if c := &l.columns[i]; c.key == name && (fits == nil || fits(c)) {
				return c
			}
		}
	}
	return nil
}

func (l *looked) named(name string) *column {
	for i := range l.columns {
		if l.columns[i].Name == name {
			return &l.columns[i]
		}
	}
	return nil
}

func nameOf(c *column) string {
	if c == nil {
		return ""
	}
	return c.Name
}

// contains says that a name has one of the parts.
func contains(name string, parts ...string) bool {
	k := key(name)
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(k, p) })
}

// classify guesses the kind of a source and the roles of its columns. by is the
// column by which facts without an account find it through the users; "" if there is
// none.
func (l *looked) classify(account, by string) {
	s := &l.source
	s.Path, s.Name = l.path, l.name
	if l.knownExport(by) || l.merges() {
		return
	}
	owner := l.owner(account)
	user := l.user()
	if owner != nil {
		s.Account = owner.Name
	} else if user = l.named(by); by == "" || user == nil {
		l.unused = "it names no account, nor anything that an account could be found by"
		return
	}
	if user != nil && user != owner {
		s.User = user.Name
	}
	arrived := l.find(arrivals[:], func(c *column) bool { return c.Kind == datasets.Time })
	s.Arrived = nameOf(arrived)
	start, end := l.interval()
	once := owner != nil && owner.unique()
	created := l.find(signedUp[:], (*column).time)
	switch {
	case l.people(owner):
		s.Kind, s.Time = Users, nameOf(created)
		l.why = "one row a user (" + user.Name + " is never there twice)"
	case end != nil && start != nil && !(once && created != nil && !contains(l.name, "subscription", "contract")):
		s.Kind, s.Start, s.End = Intervals, start.Name, end.Name
		l.why = "each row is true from " + start.Name + " to " + end.Name
		l.money(owner)
	case once || contains(l.name, "account", "customer", "compan", "signup") && owner != nil && user == nil:
		s.Kind = Attributes
		if created == nil {
			created = l.anyTime(arrived)
		}
		s.Time = nameOf(created)
		l.why = "what is known of an account"
		if once {
			l.why = "one row an account (" + owner.Name + " is never there twice)"
		}
		s.User = ""
	default:
		time := l.find(happened[:], func(c *column) bool { return c.Kind == datasets.Time })
		if time == nil {
			time = l.anyTime(arrived)
		}
		if time == nil {
			l.unused = "it has several rows an account, and no column of dates that would order them"
			return
		}
		s.Kind, s.Time = Events, time.Name
		l.why = "each row happened at " + time.Name
		if contains(l.name, "snapshot", "daily", "nightly") && s.User == "" {
			s.Kind = Snapshots
			l.why = "taken again and again, at " + time.Name
		}
	}
	if s.Arrived == s.Time || s.Arrived == s.Start || s.Arrived == s.End {
		s.Arrived = ""
	}
	l.identify(owner)
	l.event = l.find(eventNames[:], func(c *column) bool {
		return c.Kind == datasets.Category && c.distinct > 1 && c.distinct <= 200 && s.role(c.Name).key == ""
	})
}

// user is the column of the user's id.
func (l *looked) user() *column {
	if c := l.find(userNames[:], (*column).holdsIDs); c != nil || !contains(l.name, personal[:]...) {
		return c
	}
	return l.find([]string{"id"}, func(c *column) bool { return c.holdsIDs() && c.unique() })
}

// people says that each row is a user of an account.
func (l *looked) people(owner *column) bool {
	user := l.user()
	return user != nil && owner != nil && user != owner && user.unique() && contains(l.name, personal[:]...)
}

// owner is the column of the account: the project's, or one that goes by such a name.
func (l *looked) owner(account string) *column {
	if c := l.named(account); account != "" && c != nil && c.holdsIDs() {
		return c
	}
	if k := key(account); k != "" {
		return l.find([]string{k}, (*column).holdsIDs)
	}
	return nil
}

// anyTime is the first column of dates, best one that says nothing of updates.
func (l *looked) anyTime(arrived *column) *column {
	for _, best := range [...]bool{true, false} {
		for i := range l.columns {
			c := &l.columns[i]
			if c.Kind == datasets.Time && c != arrived && !(best && contains(c.Name, hindsight[:]...)) && !contains(c.Name, "renew") {
				return c
			}
		}
	}
	return nil
}

// interval is a start and an end whose dates agree: the end is not before the start.
func (l *looked) interval() (start, end *column) {
	end = l.find(ends[:], (*column).time)
	if end == nil {
		return nil, nil
	}
	fits := func(c *column) bool {
		if c.Kind != datasets.Time || c == end {
			return false
		}
		both, ordered := 0, 0
		for i := range c.Times {
			if end.Kind == datasets.Time && c.Times[i] != datasets.MissingTime && end.Times[i] != datasets.MissingTime {
				both++
				if c.Times[i] <= end.Times[i] {
					ordered++
				}
			}
		}
		return 10*ordered >= 9*both
	}
	if start = l.find(starts[:], fits); start == nil {
		start = l.find([]string{"createdat", "created", "sentat"}, fits)
	}
	return start, end
}

// money finds the roles of intervals: the amount, its currency, the renewal, and what
// is only filled in at the end.
func (l *looked) money(owner *column) {
	s := &l.source
	taken := func(c *column) bool { return c == owner || s.role(c.Name).key != "" }
	s.Amount = nameOf(l.find(amounts[:], func(c *column) bool { return c.Kind == datasets.Number && !taken(c) }))
	if s.Amount != "" {
		s.Currency = nameOf(l.find(currencies[:], func(c *column) bool { return c.Kind == datasets.Category && !taken(c) }))
	}
	s.Renews = nameOf(l.find(renewals[:], func(c *column) bool { return c.Kind == datasets.Time && !taken(c) }))
	end := l.named(s.End)
	for i := range l.columns {
		c := &l.columns[i]
		if taken(c) || c.present == 0 {
			continue
		}
		if contains(c.Name, hindsight[:]...) || filledAtEnd(c, end) {
			l.atEnd = append(l.atEnd, c.Name)
		}
	}
	s.AtEnd = l.atEnd
}

// filledAtEnd says that a column is missing wherever the end is.
func filledAtEnd(c, end *column) bool {
	if end.Kind != datasets.Time || end.present == end.Len() {
		return false
	}
	for i, t := range end.Times {
		if t == datasets.MissingTime && !c.At(i).Missing() {
			return false
		}
	}
	return true
}

// identify finds the id of facts: a column called so that is hardly ever there twice.
func (l *looked) identify(owner *column) {
	s := &l.source
	if s.Kind == Attributes || s.Kind == Users || s.Kind == Snapshots {
		return
	}
	for i := range l.columns {
		c := &l.columns[i]
		if isID(c.Name) && c.holdsIDs() && c != owner && s.role(c.Name).key == "" && c.present == l.rows && 100*c.distinct >= 98*c.present {
			if s.ID = c.Name; !c.unique() {
				l.remarks = append(l.remarks, c.Name+" is there twice now and then: the later record counts as a correction of the earlier")
			}
			return
		}
	}
}

// exported is the known export whose columns are all there, nil if there is none.
func (l *looked) exported() *export {
	for _, e := range exports {
		if l.named(e.sign) == nil || e.kind == Attributes || (e.kind == Events) != (l.named("event") != nil) {
			continue
		}
		whole := true
		for _, r := range e.roles(&Source{}) {
			whole = whole && (r.column == "" || l.named(r.column) != nil)
		}
		if whole {
			return &e
		}
	}
	return nil
}

// knownExport fills in the roles of a known export; by is as in classify.
func (l *looked) knownExport(by string) bool {
	e := l.exported()
	if e == nil || e.account == "" && by == "" {
		return false
	}
	l.source.Export = e.name
	e.fill(&l.source)
	l.source.AtEnd = e.atEnd
	l.why = "its columns are those of " + e.name
	l.event = l.named("event")
	return true
}

// merges finds two columns of accounts of which one goes on.
func (l *looked) merges() bool {
	from, into := l.find(mergedFrom[:], (*column).holdsIDs), l.find(mergedInto[:], (*column).holdsIDs)
	if from == nil || into == nil {
		return false
	}
	time := l.anyTime(nil)
	if time == nil {
		return false
	}
	s := &l.source
	s.Kind, s.FromAccount, s.Into, s.Time = Merges, from.Name, into.Name, time.Name
	l.why = "accounts that were merged"
	return true
}

// sourceName makes a name of a file's: without its folder, endings, digits and what
// all files begin with.
func sourceName(path, prefix string) string {
	base := filepath.Base(path)
	if i := strings.IndexByte(base, '.'); i > 0 {
		base = base[:i]
	}
	const signs = "-_*.0123456789 "
	base = strings.Trim(strings.TrimPrefix(base, prefix), signs)
	if base == "" { // events/2025-01.parquet
		base = strings.Trim(filepath.Base(filepath.Dir(path)), signs)
	}
	if base == "" {
		return ""
	}
	name := ident(strings.ToLower(base))
	if name = strings.Trim(name, "_"); name != "" && name[0] <= '9' {
		return "s" + name
	}
	return name
}

// ident makes a word of a name.
func ident(name string) string {
	out := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, name)
	if out == "" || out[0] >= '0' && out[0] <= '9' {
		out = "_" + out
	}
	return out
}
