package sample

import (
	"cmp"
	"runtime"
	"slices"
	"sync"

	"propensity/datasets"
)

// account is all there is to know of one account.
type account struct {
	number   int
	signedUp int64
	profile
	trial
	lives []customer // none, one, or more where it was won back
	// twin is the number of the account of the same company that signed up before,
	// 0 if there is none: mergedAt, a trial that came to nothing becomes part of it.
	twin     int
	mergedAt int64
	events   []event // in the order of occurrence; empty where they are only written
}

const (
	twinShare  = 0.006 // of the accounts
	wonBack    = 0.2   // of those that left, after a while
	longAbsent = 100 * day
)

func newAccount(w *world, number int, signedUp int64, log *eventLog) account {
	r := stream(w.seed, uint64(number))
	a := account{number: number, signedUp: signedUp, profile: drawProfile(r, signedUp), mergedAt: datasets.MissingTime}
	if number > 1 && chance(r, twinShare) {
		a.twin = 1 + r.IntN(number-1)
		other := drawProfile(stream(w.seed, uint64(a.twin)), signedUp)
		a.country, a.size, a.industry = other.country, other.size, other.industry
	}
	a.trial = a.try(w, log)
	for start := a.convertedAt; start != datasets.MissingTime && start < historyEnd; {
		c := becomeCustomer(r, &a.profile, start)
		c.live(r, w, &a.profile)
		a.lives = append(a.lives, c)
		start = datasets.MissingTime
		if end := c.end(); end != datasets.MissingTime && chance(r, wonBack) {
			start = offMidnight(end + longAbsent + second + int64(r.ExpFloat64()*float64(longAbsent/second))*second)
		}
	}
	if a.twin > 0 && len(a.lives) == 0 {
		if at := instant(r, signedUp+120*day, signedUp+180*day); at < historyEnd {
			a.mergedAt = at
		}
	}
	return a
}

// try draws the trial, or draws it again.
func (a *account) try(w *world, log *eventLog) trial {
	log.events = log.events[:0]
	return runTrial(streamFor(w.seed, uint64(a.number), forTrial), w, &a.profile, a.signedUp, log)
}

// use draws the events of a month of the history, numbered and delivered.
func (a *account) use(w *world, m int, log *eventLog) []event {
	from, to := monthStart(m), monthStart(m+1)
	log.events = log.events[:0]
	if a.signedUp < to && from < a.trialEnd {
		a.try(w, log)
		log.events = slices.DeleteFunc(log.events, func(e event) bool { return e.occurred < from || e.occurred >= to })
	}
	r := streamFor(w.seed, uint64(a.number), forMonth+uint64(m))
	for i := range a.lives {
		c := &a.lives[i]
		if k := m - c.firstMonth + 1; k >= 0 && k < len(c.lived) {
			c.use(r, w, k, log)
		}
	}
	if len(log.events) == 0 {
		return nil
	}
	return log.deliver(r, a.number-1, m)
}

// found makes the accounts of a company, in the order of their sign-up.
func found(o Options) (world, []account) {
	w := newWorld(o.Seed)
	at := signUps(o)
	accounts := make([]account, len(at))
	everyChunk(len(at), func(_, from, to int) {
		var log eventLog
		for i := from; i < to; i++ {
			accounts[i] = newAccount(&w, i+1, at[i], &log)
		}
	})
	w.pageViews = pageViews(accounts, o.Events)
	return w, accounts
}

// pageViews is how many of them a login needs so that there are so many events.
func pageViews(accounts []account, events int) float64 {
	var others, logins float64 // expected
	for i := range accounts {
		a := &accounts[i]
		others, logins = others+float64(a.trial.events), logins+float64(a.trial.logins)
		for l := range a.lives {
			c := &a.lives[l]
			for k := range c.lived {
				from, to := c.stretch(k)
				days := float64(to-from) / float64(day)
				n := c.loginRate(&c.lived[k]) * days
				logins += n
				others += n*(1+reportsALogin+exportsALogin) + float64(c.users(&c.lived[k]))*days/30
			}
		}
	}
	if logins == 0 {
		return 0
	}
	return max(0, float64(events)-others) / logins
}

// history gives the events of a company month by month.
type history struct {
	*world
	accounts []account
	joined   [][]int64 // by account and user: the first event, MissingTime if none yet
	late     []event   // that arrive after the months so far
	written  int       // deliveries
}

// chunk of accounts whose events are drawn together.
const chunk = 256

// month gives the events that arrive in a month of the history, in the order of
// their arrival, then of account and number. To be asked month after month.
func (h *history) month(m int) []event {
	if h.joined == nil {
		h.joined = make([][]int64, len(h.accounts))
	}
	n := len(h.accounts)
	chunks := make([][]event, (n+chunk-1)/chunk)
	everyChunk(n, func(k, from, to int) {
		var log eventLog
		var out []event
		for i := from; i < to; i++ {
			events := h.accounts[i].use(h.world, m, &log)
			out = append(out, events...)
			for _, e := range events {
				for len(h.joined[i]) <= int(e.user) {
					h.joined[i] = append(h.joined[i], datasets.MissingTime)
				}
				if at := &h.joined[i][e.user]; *at == datasets.MissingTime || e.occurred < *at {
					*at = e.occurred
				}
			}
		}
		slices.SortFunc(out, byArrival)
		chunks[k] = out
	})
	chunks = append(chunks, h.late)
	all := merge(chunks)
	end, _ := slices.BinarySearchFunc(all, monthStart(m+1), func(e event, at int64) int { return cmp.Compare(e.received, at) })
	h.late = slices.Clone(all[end:])
	return all[:end:end]
}

func byArrival(a, b event) int {
	if a.received != b.received {
		return cmp.Compare(a.received, b.received)
	}
	if a.account != b.account {
		return cmp.Compare(a.account, b.account)
	}
	return cmp.Or(cmp.Compare(a.month, b.month), cmp.Compare(a.number, b.number), compareBool(a.again, b.again))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// merge makes one sorted list of sorted lists, two and two, in parallel.
func merge(lists [][]event) []event {
	for len(lists) > 1 {
		out := make([][]event, (len(lists)+1)/2)
		each(len(out), func(k int) {
			if 2*k+1 == len(lists) {
				out[k] = lists[2*k]
				return
			}
			a, b := lists[2*k], lists[2*k+1]
			all := make([]event, 0, len(a)+len(b))
			for len(a) > 0 && len(b) > 0 {
				if byArrival(a[0], b[0]) <= 0 {
					all, a = append(all, a[0]), a[1:]
				} else {
					all, b = append(all, b[0]), b[1:]
				}
			}
			out[k] = append(append(all, a...), b...)
		})
		lists = out
	}
	return lists[0]
}

// everyChunk calls f in parallel with the chunks of n things: the number of the chunk
// and its bounds.
func everyChunk(n int, f func(k, from, to int)) {
	each((n+chunk-1)/chunk, func(k int) { f(k, k*chunk, min(n, (k+1)*chunk)) })
}

// each calls f in parallel with every number below n.
func each(n int, f func(k int)) {
	next := make(chan int)
	var wait sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for k := range next {
				f(k)
			}
		})
	}
	for k := range n {
		next <- k
	}
	close(next)
	wait.Wait()
}
