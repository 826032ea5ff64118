package keys

import (
	"math"
	"sync"
	"time"
)

const day = 24 * time.Hour

// usage is how much of its limits a key has used. It outlives changes of the file.
type usage struct {
	mu     sync.Mutex
	tokens float64 // left in the bucket as of at
	at     time.Time
	// The days that were looked at last, the present one first: a clock that jumps into
	// another day and back finds what was taken of each.
	days [4]daily
}

// daily is what was taken of a day.
type daily struct {
	day    int64 // see Usage
	used   int64 // by this Ring
	told   int64 // part of used that others know of
	others int64 // by others, as far as this Ring knows
}

// Limits is what a key has left: of its rate by a token bucket, of its day by a count.
type Limits struct {
	Rate  float64 // requests a second; 0: no limit
	Burst int
	Left  int           // requests that may follow at once
	Full  time.Duration // until Left is Burst again
	Wait  time.Duration // until the rate allows a request; 0: it does

	Daily     int64 // scores and other requests a day of UTC; 0: no limit
	DailyLeft int64
	Midnight  time.Duration // until the next day
	Spent     bool          // the day allows no more
}

// take takes one request from the bucket and n from the day. If either has nothing
// left, Wait or Spent says so, and nothing is taken.
func (u *usage) take(k *Key, now time.Time, n int64) Limits {
	l := Limits{Rate: k.Rate, Burst: k.Burst, Daily: k.Daily}
	u.mu.Lock()
	defer u.mu.Unlock()
	if k.Rate > 0 {
		u.fill(k, now)
		if u.tokens < 1 {
			l.Wait = seconds((1 - u.tokens) / k.Rate)
		}
	}
	today, left, midnight := u.today(k, now)
	l.Midnight, l.Spent = midnight, k.Daily > 0 && left < max(n, 1)
	if l.Wait == 0 && !l.Spent {
		if k.Rate > 0 {
			u.tokens--
		}
		today.used += n
		left -= n
	}
	l.DailyLeft = max(0, left)
	if k.Rate > 0 {
		l.Left, l.Full = int(u.tokens), seconds((float64(k.Burst)-u.tokens)/k.Rate)
	}
	return l
}

// fill lets the bucket have what the time since brought. A clock set back brings nothing.
func (u *usage) fill(k *Key, now time.Time) {
	if u.at.IsZero() {
		u.tokens = float64(k.Burst)
	} else if passed := now.Sub(u.at).Seconds(); passed > 0 {
		u.tokens += passed * k.Rate
	}
	u.tokens = min(u.tokens, float64(k.Burst)) // also of a burst that was lowered
	u.at = now
}

// spend takes n of the day alone, or nothing if there is not as much.
func (u *usage) spend(k *Key, now time.Time, n int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	today, left, _ := u.today(k, now)
	if k.Daily > 0 && left < n {
		return false
	}
	today.used += n
	return true
}

// today is what was taken of the present day, what is left of it, and how long it lasts.
func (u *usage) today(k *Key, now time.Time) (today *daily, left int64, midnight time.Duration) {
	us := now.UnixMicro()
	number := us / day.Microseconds()
	today = &u.days[0]
	if today.day != number {
		is, last := daily{day: number}, len(u.days)-1
		for i := range u.days {
			if u.days[i].day == number {
				is, last = u.days[i], i
			}
		}
		copy(u.days[1:last+1], u.days[:last])
		*today = is
	}
	return today, k.Daily - today.used - today.others, time.Duration((number+1)*day.Microseconds()-us) * time.Microsecond
}

// seconds is rounded up, so that who waits so long does not come too early.
func seconds(s float64) time.Duration { return time.Duration(math.Ceil(min(s, 1e9) * 1e9)) }

// Usage is what a key took of a day, for servers that share their counts.
type Usage struct {
	ID    string
	Day   int64 // number of the day of UTC, from 1970
	New   int64 // by this Ring, not yet shared
	Total int64 // by all, which Share takes
}

// Usage is what each key took of today.
func (r *Ring) Usage() []Usage {
	now := r.now()
	h := r.current()
	var out []Usage
	for i := range h.list {
		k := h.byID[h.list[i].ID]
		if k == nil {
			continue
		}
		k.usage.mu.Lock()
		today, _, _ := k.usage.today(&k.Key, now)
		out = append(out, Usage{k.Key.ID, today.day, today.used - today.told, today.used + today.others})
		k.usage.mu.Unlock()
	}
	return out
}

// Share takes what Usage gave, once others know what was New and told the Total.
func (r *Ring) Share(list []Usage) {
	h := r.current()
	for _, one := range list {
		k := h.byID[one.ID]
		if k == nil {
			continue
		}
		k.usage.mu.Lock()
		if today := &k.usage.days[0]; today.day == one.Day {
			today.told += one.New
			today.others = max(0, one.Total-today.told) // less is there if the day was taken for over
		}
		k.usage.mu.Unlock()
	}
}
