package notify

import (
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The table of the specification: delays, and the time since the start.
func TestScheduleOfTheSpecification(t *testing.T) {
	want := []string{"0s", "5s", "5m5s", "35m5s", "2h35m5s", "7h35m5s", "17h35m5s", "31h35m5s", "51h35m5s", "75h35m5s"}
	var since time.Duration
	for i, d := range delays() {
		since += d
		if w, err := time.ParseDuration(want[i]); err != nil || since != w {
			t.Errorf("attempt %d is after %v, want %s", i+1, since, want[i])
		}
	}
}

func TestWaitHasJitter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		endpoint, event, made := rapid.String().Draw(t, "endpoint"), rapid.String().Draw(t, "event"), rapid.IntRange(1, 20).Draw(t, "made")
		d, ok := wait(endpoint, event, made)
		if ok != (made < 10) {
			t.Fatalf("after %d attempts: %v", made, ok)
		}
		if !ok {
			return
		}
		if least := delays()[made]; d < least || d > least+least/10 {
			t.Fatalf("attempt %d after %v", made+1, d)
		}
		if again, _ := wait(endpoint, event, made); again != d {
			t.Fatalf("%v, then %v", d, again)
		}
	})
	spread := map[time.Duration]bool{}
	for _, event := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		d, _ := wait("wh", event, 2)
		spread[d/time.Second] = true
	}
	if len(spread) < 4 {
		t.Errorf("eight events are due within %d seconds of half a minute", len(spread))
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"120":                           2 * time.Minute,
		" 120 ":                         2 * time.Minute,
		"86401":                         24 * time.Hour,
		"99999999999999999999999":       24 * time.Hour,
		"Sun, 01 Mar 2026 09:31:00 GMT": time.Minute,
		"Sun, 01 Mar 2026 09:29:00 GMT": 0,
		"Mon, 01 Mar 2027 09:30:00 GMT": 24 * time.Hour,
		"-5":                            0,
		"1.5":                           0,
		"soon":                          0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Sun, 01 Mar 2026 09:31:00 GMT")
	f.Fuzz(func(t *testing.T, header string) {
		if d := retryAfter(header, time.Unix(1_772_357_400, 0)); d < 0 || d > maxRetryAfter {
			t.Errorf("%q: %v", header, d)
		}
	})
}

func TestPause(t *testing.T) {
	for times, want := range map[int]time.Duration{
		1: 5 * time.Second, 2: 10 * time.Second, 3: 20 * time.Second, 6: 160 * time.Second, 7: 5 * time.Minute, 1000: 5 * time.Minute,
	} {
		if got := pause(times, 0); got != want {
			t.Errorf("%d: %v, want %v", times, got, want)
		}
	}
	if got := pause(1, time.Hour); got != time.Hour {
		t.Errorf("%v, though it asked for an hour", got)
	}
	for status, want := range map[int]bool{200: false, 400: false, 429: true, 500: false, 502: true, 503: false, 504: true} {
		if slows(status, 0) != want {
			t.Errorf("%d: %v", status, !want)
		}
	}
	if !slows(http.StatusServiceUnavailable, time.Second) {
		t.Error("503 with Retry-After")
	}
}
