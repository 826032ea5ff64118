package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestRunGoesOnWhereItStopped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p-1")
	start := func(n int) *run {
		t.Helper()
		r := &run{proof: "p", seed: 1, n: n, dir: dir, log: io.Discard}
		if err := r.resume(); err != nil {
			t.Fatal(err)
		}
		return r
	}
	var seen []int
	var draws []uint64
	bad, broken := 3, errors.New("broken")
	check := func(_ context.Context, i int, rng *rand.Rand) error {
		seen, draws = append(seen, i), append(draws, rng.Uint64())
		if i == bad {
			return broken
		}
		return nil
	}
	if err := start(6).each(t.Context(), check); !errors.Is(err, broken) {
		t.Fatalf("case 3 failed, the run said %v", err)
	}
	// The case that failed comes again, with the same numbers.
	bad = -1
	if err := start(6).each(t.Context(), check); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []int{0, 1, 2, 3, 3, 4, 5}) || draws[3] != draws[4] || draws[2] == draws[3] {
		t.Errorf("cases %v, draws %v", seen, draws)
	}
	// A longer run goes on, a finished one starts anew.
	if r := start(8); r.state.Done != 6 {
		t.Errorf("%d done", r.state.Done)
	}
	if r := start(6); r.state.Done != 0 {
		t.Errorf("a finished run goes on after %d", r.state.Done)
	}
	// Other code starts anew.
	r := start(6)
	r.state.Done, r.state.Program = 4, "other"
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
	if r := start(6); r.state.Done != 0 {
		t.Errorf("other code goes on after %d", r.state.Done)
	}
	// A case cut short by the end of the run counts neither way.
	ctx, cancel := context.WithCancel(t.Context())
	r = start(6)
	err := r.each(ctx, func(context.Context, int, *rand.Rand) error { cancel(); return broken })
	if !errors.Is(err, context.Canceled) || errors.Is(err, broken) || r.state.Done != 0 {
		t.Errorf("interrupted: %v, %d done", err, r.state.Done)
	}
	r = start(6)
	r.budget = time.Nanosecond
	if err := r.each(t.Context(), check); err != nil || r.state.Done == r.n {
		t.Errorf("without time: %v, %d done", err, r.state.Done)
	}
}

func TestRunAllowsSomeMisses(t *testing.T) {
	r := &run{proof: "p", seed: 1, n: 10, dir: filepath.Join(t.TempDir(), "p-1"), log: io.Discard}
	if err := r.resume(); err != nil {
		t.Fatal(err)
	}
	check := func(_ context.Context, i int, _ *rand.Rand) error {
		if r.tally("looked at"); i%3 == 0 {
			return r.allow("missed", 2, "it missed")
		}
		return nil
	}
	// Cases 0 and 3 are allowed, 6 is one too many; what it counted is taken back.
	if err := r.each(t.Context(), check); err == nil {
		t.Error("a third miss is allowed, of two")
	}
	if got, want := r.state, (state{Program: r.state.Program, Done: 6, Missed: 2, Seconds: r.state.Seconds, Tally: map[string]int{"missed": 2, "looked at": 6}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := r.result(), "p: 4 of 10 cases held (seed 1, 0 s): 6 looked at, 2 missed"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReplaceSection(t *testing.T) {
	for _, c := range [][3]string{
		{"# T\n", "a", "# T\n\n## a\nnew\n"},
		{"# T\n\n## a\nold\n", "a", "# T\n\n## a\nnew\n"},
		{"# T\n\n## a\nold\nold\n\n## b\nb\n", "a", "# T\n\n## a\nnew\n\n## b\nb\n"},
		{"# T\n\n## a\na\n\n## b\nold\n", "b", "# T\n\n## a\na\n\n## b\nnew\n"},
		{"# T\n\n## ab\nab\n", "a", "# T\n\n## ab\nab\n\n## a\nnew\n"},
	} {
		once := replaceSection([]byte(c[0]), c[1], "## "+c[1]+"\nnew\n")
		if string(once) != c[2] {
			t.Errorf("%q with %s: %q, want %q", c[0], c[1], once, c[2])
		}
		if twice := replaceSection(once, c[1], "## "+c[1]+"\nnew\n"); string(twice) != c[2] {
			t.Errorf("again: %q", twice)
		}
	}
}
