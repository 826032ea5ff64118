package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shell is a contender that runs a line of a shell.
func shell(name, script string) contender {
	return contender{name: name, argv: []string{"sh", "-c", script}, parse: lastObject}
}

func TestAlternateTakesTurns(t *testing.T) {
	order := filepath.Join(t.TempDir(), "order")
	a, b := shell("a", "echo a >> "+order+`; echo '{"x": 1}'`), shell("b", "echo b >> "+order+`; echo '{"x": 2, "y": 3}'`)
	a.ours, b.once = true, true
	c := shell("c", "echo c >> "+order+"; echo no such >&2; echo 'file of mine' >&2; exit 4")
	var log bytes.Buffer
	out, err := alternate(t.Context(), &log, "a race", 3, []contender{a, b, c})
	if err != nil {
		t.Fatal(err)
	}
	// b runs once, and c is not run again after it failed.
	if text, _ := os.ReadFile(order); strings.Join(strings.Fields(string(text)), "") != "abcaa" {
		t.Errorf("order %q", text)
	}
	if got := out[0].values("x"); !slices.Equal(got, []float64{1, 1, 1}) {
		t.Errorf("x of a: %v", got)
	}
	if got := out[0].values("y"); got != nil {
		t.Errorf("y of a: %v", got)
	}
	if out[2].failed == nil || !strings.HasSuffix(out[2].failed.Error(), "file of mine") || strings.Contains(out[2].failed.Error(), "no such") {
		t.Errorf("why c failed: %v", out[2].failed)
	}
	for _, name := range []string{"wall", "cpu", "peak"} {
		if got := out[0].values(name); len(got) != 3 || math.IsNaN(got[0]) || got[0] < 0 {
			t.Errorf("%s of a: %v", name, got)
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines != 5 {
		t.Errorf("progress in %d lines:\n%s", lines, &log)
	}
}

func TestAlternateStopsWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := alternate(ctx, io.Discard, "a race", 3, []contender{shell("a", "sleep 60")}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestMeasureStartsAfreshAndTakesItsCodes(t *testing.T) {
	c := shell("a", "")
	c.fresh = filepath.Join(t.TempDir(), "registry")
	c.argv[2] = "test ! -e " + c.fresh + " && mkdir " + c.fresh + ` && echo '{"x": 1}'`
	for range 2 {
		if _, err := c.measure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	no := shell("a", `echo '{"x": 1}'; exit 3`)
	if _, err := no.measure(t.Context()); err == nil {
		t.Error("exit code 3 was taken")
	}
	no.okay = []int{3}
	if f, err := no.measure(t.Context()); err != nil || f["x"] != 1 {
		t.Error(f, err)
	}
}

func TestLastObject(t *testing.T) {
	f, err := lastObject([]byte("{\"x\": 1}\n[LightGBM] talks\n{\"x\": 2.5}\nbye\n"))
	if err != nil || f["x"] != 2.5 {
		t.Error(f, err)
	}
	for _, bad := range []string{"", "no figures\n", "{\"x\": \"text\"}\n", "{broken\n"} {
		if f, err := lastObject([]byte(bad)); err == nil {
			t.Errorf("%q gave %v", bad, f)
		}
	}
}
