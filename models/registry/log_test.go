package registry

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(b, text...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A last line without its end was never acknowledged: readers leave it out, the
// next writer cuts it off and logs what the directory shows.
func TestTornLog(t *testing.T) {
	t.Parallel()
	for _, torn := range []string{`{`, `{"time":"2026-`, "\x00\x00\x00\x00", `{"time":"2026-01-01T00:00:00Z","action":"delete","version":1}`} {
		r := published(t, 2)
		path := filepath.Join(r.modelDir("churn"), logFile)
		appendTo(t, path, torn)
		if entries, err := r.Log("churn"); err != nil || len(entries) != 2 {
			t.Errorf("%q: %d entries, %v", torn, len(entries), err)
		}
		if err := checkWhole(r, "churn"); err != nil {
			t.Errorf("%q: %v", torn, err)
		}
		promote(t, r, "champion", 1)
		if b, err := os.ReadFile(path); err != nil || strings.Count(string(b), "\n") != 3 || strings.Contains(string(b), torn+"\n") {
			t.Errorf("%q: %s, %v", torn, b, err)
		}
		checkSettled(t, r, "churn")
	}
}

// The entry of a version torn at any byte comes back as recovered.
func TestLogTornAnywhere(t *testing.T) {
	t.Parallel()
	r := published(t, 2)
	path := filepath.Join(r.modelDir("churn"), logFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.IndexByte(string(whole), '\n') + 1
	want, _, err := readLog(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := first; cut < len(whole); cut += 7 {
		if err := os.WriteFile(path, whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		w, err := r.begin(t.Context(), "churn")
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		w.end()
		checkSettled(t, r, "churn")
		got, err := r.Log("churn")
		if err != nil || len(got) != 2 || !got[1].Recovered || got[1].Hash != want[1].Hash || got[1].Time.Sub(want[1].Time).Abs() > time.Minute {
			t.Fatalf("cut at %d: %+v, %v", cut, got, err)
		}
	}
}

func TestDamagedLogNamesTheLine(t *testing.T) {
	t.Parallel()
	r := published(t, 2)
	path := filepath.Join(r.modelDir("churn"), logFile)
	appendTo(t, path, "{\"time\":\"2026-\n")
	for what, err := range map[string]error{"Log": second(r.Log("churn")), "Versions": second(r.Versions("churn")),
		"Publish": second(r.Publish(t.Context(), "churn", mustArtifact(t, "churn", 3), Event{}))} {
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "log.jsonl: ") || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Serving needs no log.
	if _, _, err := r.Load(Ref{Name: "churn", Version: 2}); err != nil {
		t.Error(err)
	}
}

func TestFactsAreKept(t *testing.T) {
	t.Parallel()
	r := published(t, 0)
	facts := map[string]any{"seconds": 1.5, "machine": map[string]any{"cores": 2.0}, "data": "a\nb\u2028"}
	if _, err := r.Publish(t.Context(), "churn", mustArtifact(t, "churn", 1), Event{Actor: "job \"x\"\n", Note: "<why>", Facts: facts}); err != nil {
		t.Fatal(err)
	}
	entries, err := r.Log("churn")
	if err != nil || len(entries) != 1 || entries[0].Actor != "job \"x\"\n" || entries[0].Note != "<why>" {
		t.Fatalf("%+v, %v", entries, err)
	}
	if d := cmp.Diff(facts, entries[0].Facts); d != "" {
		t.Error(d)
	}
	// What the log could not keep is refused before anything is written.
	for _, e := range []Event{{Facts: map[string]any{"loss": math.NaN()}}, {Note: strings.Repeat("x", maxLine)}} {
		if _, err := r.Publish(t.Context(), "churn", mustArtifact(t, "churn", 2), e); err == nil {
			t.Error("published")
		}
		if err := r.Promote(t.Context(), "churn", 1, "champion", e); err == nil {
			t.Error("promoted")
		}
		if err := r.Delete(t.Context(), "churn", 1, e); err == nil {
			t.Error("deleted")
		}
	}
	if v, err := r.Versions("churn"); err != nil || len(v) != 1 || len(v[0].Aliases) != 0 {
		t.Errorf("%v, %v", v, err)
	}
	checkSettled(t, r, "churn")
}

// Any entries come back from their lines, and cutting the text anywhere loses
// none of those before the cut.
func TestLogRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []Entry
		var text []byte
		ends := []int{0}
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			e := Entry{
				Time:    time.UnixMicro(rapid.Int64Range(0, 1<<51).Draw(t, "time")).UTC(),
				Action:  rapid.SampledFrom([]string{ActionPublish, ActionPromote, ActionRollback, ActionDelete}).Draw(t, "action"),
				Version: rapid.IntRange(1, maxVersion).Draw(t, "version"),
				Actor:   rapid.String().Draw(t, "actor"), Note: rapid.String().Draw(t, "note"),
				Recovered: rapid.Bool().Draw(t, "recovered"),
			}
			line, err := e.line()
			if err != nil {
				t.Fatal(err)
			}
			want, text = append(want, e), append(text, line...)
			ends = append(ends, len(text))
		}
		cut := rapid.IntRange(0, len(text)).Draw(t, "cut")
		k, _ := slices.BinarySearch(ends, cut+1) // ends at or before the cut
		got, whole, err := parseLog(text[:cut])
		if err != nil || whole != ends[k-1] {
			t.Fatalf("cut %d: %d whole, %v; ends %v", cut, whole, err, ends)
		}
		if d := cmp.Diff(want[:k-1], got); d != "" && k > 1 {
			t.Fatal(d)
		}
	})
}

func FuzzParseLog(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-01T00:00:00Z","action":"publish","version":1}` + "\n{"))
	f.Add([]byte("\n"))
	f.Add([]byte(`{"action":"promote","version":1e9}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, whole, err := parseLog(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if whole > len(b) || whole > 0 && b[whole-1] != '\n' {
			t.Fatalf("%d whole of %q", whole, b)
		}
		publications(entries)
		holders(entries, "champion")
		for _, e := range entries {
			if _, err := json.Marshal(e); err != nil {
				t.Fatalf("%+v: %v", e, err)
			}
		}
	})
}
