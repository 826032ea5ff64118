package serve

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		tags, tag string
		want      bool
	}{
		{`"a"`, `"a"`, true},
		{`"b"`, `"a"`, false},
		{`W/"a"`, `"a"`, true}, // If-None-Match compares weakly (RFC 9110, 13.1.2)
		{`"a"`, `W/"a"`, true},
		{`"x", "y,z" ,W/"a"`, `"a"`, true},
		{`"x,"a"`, `"a"`, false},
		{`*`, `"a"`, true},
		{`a`, `"a"`, false},
		{`"a`, `"a"`, false},
		{`w/"a"`, `"a"`, false},
		{``, `"a"`, false},
		{`,, "a"`, `"a"`, true},
	} {
		if got := matches(c.tags, c.tag); got != c.want {
			t.Errorf("%s of %s: %v", c.tag, c.tags, got)
		}
	}
}

func FuzzMatches(f *testing.F) {
	f.Add(`W/"a", "b"`)
	f.Fuzz(func(t *testing.T, tags string) {
		if !strings.ContainsAny(tags, `"*`) && matches(tags, `"a"`) {
			t.Errorf("%q has no tag", tags)
		}
	})
}

// Who asks with the date of an answer is never told that nothing changed if it did, also
// by a clock that jumps to and fro.
func TestSinceIsNeverStale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var n seen
		now := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
		content := 0
		had := map[time.Time]int{} // the date of an answer, and what that was
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(1500*time.Millisecond)).Draw(t, "wait")))
			now = now.Add(rapid.SampledFrom([]time.Duration{0, 0, 0, 0, 0, -time.Second, -5 * time.Second, 5 * time.Second}).Draw(t, "jump"))
			if rapid.Bool().Draw(t, "changes") {
				content = rapid.IntRange(0, 2).Draw(t, "content")
			}
			at := n.since("/x", sha256.Sum256([]byte{byte(content)}), now)
			if at.After(now) {
				t.Fatalf("%v is after %v", at, now)
			}
			if at.IsZero() {
				continue
			}
			if at.Nanosecond() != 0 {
				t.Fatalf("%v is no whole second", at)
			}
			for date, was := range had {
				h := http.Header{"If-Modified-Since": {date.Format(http.TimeFormat)}}
				if unchanged(h, `"x"`, at, now) && was != content {
					t.Fatalf("what changed from %d to %d is unchanged since %v", was, content, date)
				}
			}
			had[at] = content
		}
	})
}

func TestSeenIsBounded(t *testing.T) {
	var n seen
	for i := range 3 * maxSeen {
		n.since(fmt.Sprint(i), [sha256.Size]byte{}, time.Now())
		if len(n.paths) > maxSeen {
			t.Fatalf("%d paths", len(n.paths))
		}
	}
}

// older lets time pass for all that was seen.
func (n *seen) older(by time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for path, was := range n.paths {
		was.at = was.at.Add(-by)
		n.paths[path] = was
	}
}

// What a client has already is not sent again, on each read that can say so.
func TestNotModified(t *testing.T) {
	f := withFacts(t, Config{})
	wantStatus(t, f.event(t, knownEvents), 202)
	for _, path := range []string{"/openapi.yaml", "/openapi.json", "/docs", "/v1/models", "/v1/models/churn", "/v1/accounts/A-17?as_of=2026-03-01T09:30:00Z", "/v1/accounts/A-17"} {
		first := wantStatus(t, f.get(t, path), 200)
		tag := first.header.Get("ETag")
		if weak := strings.HasPrefix(tag, "W/"); weak != (path == "/v1/accounts/A-17") || !strings.HasSuffix(tag, `"`) {
			t.Errorf("%s: ETag %s", path, tag)
		}
		again := f.send(t, http.MethodGet, path, "", "If-None-Match", `"other", `+tag)
		if again.status != 304 || len(again.body) != 0 || again.header.Get("ETag") != tag {
			t.Errorf("%s: %d %s %v", path, again.status, again.body, again.header)
		}
		wantStatus(t, f.send(t, http.MethodGet, path, "", "If-None-Match", `"other"`, "If-Modified-Since", "Thu, 01 Jan 2099 00:00:00 GMT"), 200)
		f.server.seen.older(2 * time.Second)
		date := f.get(t, path).header.Get("Last-Modified")
		if r := f.send(t, http.MethodGet, path, "", "If-Modified-Since", date); r.status != 304 {
			t.Errorf("%s: %d since %s", path, r.status, date)
		}
		wantStatus(t, f.send(t, http.MethodGet, path, "", "If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT"), 200)
		wantStatus(t, f.send(t, http.MethodGet, path, "", "If-Modified-Since", "yesterday"), 200)
	}
	tag := f.get(t, "/v1/accounts/A-17").header.Get("ETag")
	wantStatus(t, f.event(t, `{"source":"events","account":"A-17","id":"new","occurred_at":"2026-03-02","arrived_at":"2026-03-02"}`), 202)
	wantStatus(t, f.send(t, http.MethodGet, "/v1/accounts/A-17", "", "If-None-Match", tag), 200)
}
