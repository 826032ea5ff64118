package leaks

import (
	"slices"
	"strings"
	"unicode"

	"propensity/models"
)

// about is what kind of outcome a name gives away.
type about uint8

const (
	anyOutcome about = iota // written at or after an outcome of any kind
	won                     // a conversion or purchase: it knows that one alone
	later                   // may be written at any time: proves nothing, and is asked about
)

// meaning is names that mean one thing. Names are in the words of normalWords.
type meaning struct {
	names []string
	about about
	why   string
}

// meanings are the names that are known. The field names of billing and sales
// systems are those that their public documentation gives.
func meanings() []meaning {
	return []meaning{
		{[]string{
			"cancel at period end", "cancel at", "cancel at end", "cancel at end of term", "cancel on", "cancel date", "cancel time",
			"canceled at", "canceled on", "canceled date", "canceled time", "date canceled", "cancellation date", "cancellation at", "cancellation time",
			"cancel schedule created at", "cancellation requested at", "cancel requested at", "cancellation effective date",
		}, anyOutcome, "a billing system writes it when the customer cancels"},
		{[]string{
			"cancel reason", "cancel reason code", "canceled reason", "cancellation reason", "cancellation reason code", "cancellation details", "cancellation details reason",
			"cancellation details feedback", "cancellation details comment", "cancellation feedback", "cancellation comment", "cancellation survey", "reason for cancellation",
			"churn reason", "churn category", "reason for churn", "exit reason", "exit survey", "termination reason",
		}, anyOutcome, "it says why a customer left, which is asked of those who leave"},
		{[]string{"non renewing", "will not renew", "set to cancel", "pending cancellation", "pending cancel"}, anyOutcome, "a billing system sets it when the customer has cancelled and the term runs out"},
		{[]string{
			"ended at", "ended on", "ended date", "terminated at", "terminated on", "termination date", "date terminated", "expired at", "deactivated at", "offboarded at",
			"churned at", "churned on", "churned date", "churn date", "churn at", "churn month", "date of churn", "deleted at", "closed at", "closed on", "closed date", "date closed",
		}, anyOutcome, "it is the date at which the subscription, the account or the deal came to its end"},
		{[]string{
			"canceled", "cancellation", "terminated", "churned", "churn flag", "churn label", "churn value", "churn score", "churn status",
		}, anyOutcome, "it says whether the customer left, or is made from that"},
		{[]string{
			"days since cancel", "days since canceled", "days since cancellation", "days since churn", "days since churned", "days since ended", "days since end", "months since churn", "months since cancellation",
			"days to cancel", "days to cancellation", "days until cancel", "days until cancellation", "days to churn", "days until churn", "days before churn", "weeks to churn", "months to churn", "months until churn", "time to churn",
		}, anyOutcome, "it is counted from the date at which the customer left"},
		{[]string{
			"call duration", "call length", "call seconds", "call minutes", "talk time", "contact duration", "last contact duration", "duration of call", "conversation length",
		}, anyOutcome, "how long a call was is known only when it is over, and so is its outcome"},
		{[]string{
			"converted", "conversion", "converted at", "converted on", "converted date", "date converted", "conversion date", "conversion at", "conversion time", "conversion value",
			"converted account id", "converted contact id", "converted opportunity id", "won", "won at", "won on", "won date", "date won", "closed won", "closed won at", "closed won date", "closed won reason",
			"win reason", "won reason", "lost", "lost at", "lost on", "lost date", "date lost", "lost reason", "loss reason", "closed lost", "closed lost at", "closed lost date", "closed lost reason",
			"disqualified at", "disqualified reason", "disqualification reason", "unqualified reason", "became customer at", "became a customer date", "hs lifecyclestage customer date", "customer since",
			"first payment at", "first payment date", "first payment on", "first paid at", "first paid on", "first purchase at", "first purchase date", "first invoice at", "first invoice date", "first charge at", "first charge date", "first order date", "first order at",
			"paid at", "purchased at", "purchase date", "first deal created date", "recent deal close date", "upgraded at", "upgrade date",
			"days to close", "days to convert", "days to conversion", "time to convert", "time to conversion", "days until conversion", "days to purchase",
		}, won, "it is written when somebody buys or turns the offer down"},
		{[]string{
			"last notable activity", "lead quality", "lead profile", "lead grade", "lead rating", "lead temperature", "sales notes", "call outcome", "call result", "call disposition", "disposition",
		}, later, "sales people fill it while they work the lead, often once they know"},
		{[]string{
			"lead status", "lead stage", "deal stage", "opportunity stage", "sales stage", "pipeline stage", "lifecycle stage", "lifecyclestage", "subscription status", "account status", "customer status", "contract status",
		}, later, "it is the state at the export unless it was kept as of the moment, and the outcome changes it"},
		{[]string{
			"updated at", "updated on", "updated date", "last updated", "last updated at", "modified at", "modified on", "modified date", "last modified", "last modified at", "last modified date", "lastmodifieddate", "system modstamp",
		}, later, "it moves whenever the record is touched, and an outcome touches it"},
	}
}

// carriers are words that may stand before a name without changing what it means.
var carriers = []string{
	"stripe", "chargebee", "recurly", "paddle", "salesforce", "hubspot", "crm", "billing", "data", "object", "properties", "is", "was", "has", "been", "date",
	"subscription", "subscriptions", "sub", "account", "customer", "client", "contract", "membership", "user", "company", "organization", "plan", "lead", "deal", "opportunity",
}

// endings may stand behind it.
var endings = []string{"utc", "ts", "timestamp", "epoch", "unix", "flag", "seconds", "secs", "sec", "minutes", "mins", "min", "code"}

// normalWords parts a column's name into small words: at what is no letter or digit,
// and where a small letter meets a capital. British and American spellings are one.
func normalWords(name string) []string {
	var words []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			flush()
		}
		word = append(word, r)
	}
	flush()
	american := map[string]string{"cancelled": "canceled", "cancelation": "cancellation", "organisation": "organization", "nonrenewing": "non renewing", "canceledat": "canceled at", "endedat": "ended at"}
	var out []string
	for _, w := range words {
		if a, ok := american[w]; ok {
			w = a
		}
		out = append(out, strings.Fields(w)...)
	}
	return out
}

// meaningOf looks a name up: as it is, without what may stand before it and behind.
func meaningOf(list []meaning, words []string) (meaning, bool) {
	for from := 0; from < len(words); from++ {
		for to := len(words); to > from; to-- {
			name := strings.Join(words[from:to], " ")
			for _, m := range list {
				if slices.Contains(m.names, name) {
					return m, true
				}
			}
			if !slices.Contains(endings, words[to-1]) {
				break
			}
		}
		if !slices.Contains(carriers, words[from]) {
			break
		}
	}
	return meaning{}, false
}

// callLength says that a column named duration is that of a call: its table is
// about calls.
func callLength(words []string, names []string) bool {
	if words[0] != "duration" || len(words) > 2 || len(words) == 2 && !slices.Contains(endings, words[1]) {
		return false
	}
	return slices.ContainsFunc(names, func(other string) bool {
		w := normalWords(other)
		if len(w) == 1 && slices.Contains([]string{"contact", "campaign", "telephone", "dialed"}, w[0]) {
			return true
		}
		return slices.Contains(w, "call") || slices.Contains(w, "calls")
	})
}

// speaksOf says that a label's name has a word that begins so.
func speaksOf(label string, stems ...string) bool {
	return slices.ContainsFunc(normalWords(label), func(w string) bool {
		return slices.ContainsFunc(stems, func(stem string) bool { return strings.HasPrefix(w, stem) })
	})
}

// named looks every column up that has a value.
func (c *court) named() {
	list := meanings()
	winning := speaksOf(c.LabelName, "conver", "won", "win", "purchas", "buy", "bought", "paid", "pay", "upgrad", "lead", "sale", "sold", "subscribe", "order", "upsell", "expan")
	leaving := speaksOf(c.LabelName, "churn", "cancel", "attrit", "lapse", "leave", "left", "leav", "exit", "retain", "retention", "renew", "terminat", "stay")
	for j := range c.Names {
		f := &c.findings[j]
		words := normalWords(f.name)
		if len(words) == 0 || f.filled[0]+f.filled[1] == 0 {
			continue
		}
		m, ok := meaningOf(list, words)
		if !ok && callLength(words, c.Names) {
			m, ok = meaning{about: anyOutcome, why: "how long a call was is known only when it is over, and so is its outcome"}, true
		}
		if !ok || m.about == won && leaving && !winning {
			continue
		}
		e := models.Evidence{Kind: Named, Detail: "its name is known: " + m.why}
		if m.about == anyOutcome || m.about == won && winning {
			f.prove(e)
		} else {
			e.Detail += "; make sure that it was known at the moment"
			f.add(2, e)
		}
	}
}

// planned says that a date's name is that of a plan, which may lie ahead.
func planned(name string) bool {
	words := normalWords(name)
	has := func(w ...string) bool {
		return slices.ContainsFunc(words, func(x string) bool { return slices.Contains(w, x) })
	}
	return has("next", "renewal", "renews", "renew", "expires", "expiry", "expiration", "due", "scheduled", "planned", "expected", "deadline", "target", "ends", "until", "upcoming") ||
		has("end", "ending") && has("term", "period", "trial", "contract", "commitment", "warranty")
}
