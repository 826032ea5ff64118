package notify

import (
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// delays are the waits before each attempt, each from the one before: ten attempts in
// 75 h 35 min 5 s (Standard Webhooks, "Deliverability and reliability").
func delays() [attempts]time.Duration {
	return [attempts]time.Duration{
		0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
		5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

const attempts = 10

// jitter is the most that is added to a wait, as a share of it, so that what failed
// together is not tried again together.
const jitter = 0.1

// wait is how long after the failed attempt number made (from 1) the next one is due; ok
// is false after the last. The jitter is from what is sent where, so that a test,
// another server and a second look see the same.
func wait(endpoint, event string, made int) (d time.Duration, ok bool) {
	if made >= attempts {
		return 0, false
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(endpoint + "/" + event + "/" + strconv.Itoa(made)))
	share := float64(h.Sum64()>>11) / (1 << 53) // 0 to 1
	d = delays()[made]
	return (d + time.Duration(jitter*share*float64(d))).Truncate(time.Microsecond), true
}

// maxRetryAfter bounds what a receiver may ask for.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads a Retry-After header (RFC 9110, section 10.2.3): seconds or a date. It
// gives 0 for none, and for one that cannot be read.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	if strings.Trim(header, "0123456789") == "" {
		seconds, err := strconv.ParseInt(header, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), maxRetryAfter)
}

// slows says whether an answer means that the receiver has too much to do, so that the
// whole endpoint is to be spared for a while.
func slows(status int, after time.Duration) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		return true
	}
	return status == http.StatusServiceUnavailable && after > 0
}

// pause is how long an endpoint is spared that has slowed down so many times in a row
// (from 1): 5 s, doubled each time, to 5 min; or longer if it says so itself.
func pause(times int, after time.Duration) time.Duration {
	const least, most = 5 * time.Second, 5 * time.Minute
	d := most
	if times < 7 {
		d = min(least<<(times-1), most)
	}
	return max(d, after)
}
