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
	day    int64 // number of the day that used counts, of UTC, from 1970
	used   int64
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
	left, midnight := u.today(k, now)
	l.Midnight, l.Spent = midnight, k.Daily > 0 && left < max(n, 1)
	if l.Wait == 0 && !l.Spent {
		if k.Rate > 0 {
			u.tokens--
		}
		u.used += n
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
	if left, _ := u.today(k, now); k.Daily > 0 && left < n {
		return false
	}
	u.used += n
	return true
}

// today is what is left of the day, and how long it lasts. A clock set back gives no
// second day.
func (u *usage) today(k *Key, now time.Time) (left int64, midnight time.Duration) {
	us := now.UnixMicro()
	today := us / day.Microseconds()
	if today > u.day {
		u.day, u.used = today, 0
	}
	return k.Daily - u.used, time.Duration((today+1)*day.Microseconds()-us) * time.Microsecond
}

// seconds is rounded up, so that who waits so long does not come too early.
func seconds(s float64) time.Duration { return time.Duration(math.Ceil(min(s, 1e9) * 1e9)) }
