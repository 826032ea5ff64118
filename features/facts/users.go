package facts

import (
	"cmp"
	"slices"
	"sync"

	"propensity/datasets"
)

// users joins users to accounts: a user is of the account of the newest record about
// it, as in Gather.Part.
type users struct {
	mu   sync.Mutex
	of   map[string]membership
	code map[string]uint32 // the number of each user's account
}

type membership struct {
	occurred, arrived int64
	account           string
}

func (m membership) compare(n membership) int {
	return cmp.Or(cmp.Compare(m.occurred, n.occurred), cmp.Compare(m.arrived, n.arrived), cmp.Compare(m.account, n.account))
}

// take notes the kept rows of a batch of the source of users.
func (u *users) take(user, account *datasets.Column, r *record, rows []int32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, i := range rows {
		if user.Codes[i] < 0 {
			continue
		}
		m := membership{r.occurred[i], r.occurred[i], account.Values[account.Codes[i]]}
		if r.arrived != nil {
			m.arrived = r.arrived[i]
		}
		name := user.Values[user.Codes[i]]
		if old, ok := u.of[name]; !ok || old.compare(m) < 0 {
			u.of[name] = m
		}
	}
}

// settle numbers the accounts, when all users are there.
func (u *users) settle(a *accounts) {
	names := make([]string, 0, len(u.of))
	for name := range u.of {
		names = append(names, name)
	}
	slices.Sort(names)
	ids := make([]string, len(names))
	for i, name := range names {
		ids[i] = u.of[name].account
	}
	u.code = make(map[string]uint32, len(names))
	for i, n := range a.numbers(ids, nil) {
		u.code[names[i]] = n
	}
}

// numbers gives the numbers of the accounts of users; none is noNumber.
func (u *users) numbers(names []string, out []uint32) []uint32 {
	for _, name := range names {
		n, ok := u.code[name]
		if !ok {
			n = noNumber
		}
		out = append(out, n)
	}
	return out
}
