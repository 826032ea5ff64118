package registry

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"propensity/models"
)

func TestRollbackWalksBack(t *testing.T) {
	t.Parallel()
	r := published(t, 4)
	ctx := t.Context()
	if _, _, err := r.Rollback(ctx, "churn", "champion", Event{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("without an alias: %v", err)
	}
	promote(t, r, "champion", 1)
	if _, _, err := r.Rollback(ctx, "churn", "champion", Event{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("from the first: %v", err)
	}
	promote(t, r, "champion", 2, 3)
	promote(t, r, "challenger", 4, 2) // another alias has a history of its own
	back := func(wantFrom, wantTo int) {
		t.Helper()
		from, to, err := r.Rollback(ctx, "churn", "champion", Event{Actor: "bob"})
		if err != nil || from != wantFrom || to != wantTo {
			t.Fatalf("rollback: %d to %d, %v; want %d to %d", from, to, err, wantFrom, wantTo)
		}
		if a, err := r.Aliases("churn"); err != nil || a["champion"] != wantTo {
			t.Fatalf("aliases %v, %v", a, err)
		}
	}
	back(3, 2)
	back(2, 1) // not to 3 again
	promote(t, r, "champion", 4, 2, 3)
	if err := r.Promote(ctx, "churn", 4, "challenger", Event{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(ctx, "churn", 2, Event{}); err != nil {
		t.Fatal(err)
	}
	back(3, 4) // 2 is gone
	back(4, 1)
	if _, _, err := r.Rollback(ctx, "churn", "champion", Event{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("past the first: %v", err)
	}
	entries, err := r.Log("churn")
	if err != nil {
		t.Fatal(err)
	}
	last := entries[len(entries)-1]
	if last.Action != ActionRollback || last.Version != 1 || last.Previous != 4 || last.Alias != "champion" || last.Actor != "bob" || last.Hash == "" {
		t.Errorf("last entry: %+v", last)
	}
	checkSettled(t, r, "churn")
}

// holders against a twin: a stack moved by hand.
func TestHolders(t *testing.T) {
	p := func(v int) Entry { return Entry{Action: ActionPromote, Alias: "champion", Version: v} }
	b := func(v int) Entry { return Entry{Action: ActionRollback, Alias: "champion", Version: v} }
	for _, c := range []struct {
		log  []Entry
		want []int
	}{
		{nil, nil},
		{[]Entry{p(1), p(2), p(3)}, []int{1, 2, 3}},
		{[]Entry{p(1), p(2), p(3), b(2)}, []int{1, 2}},
		{[]Entry{p(1), p(2), p(3), b(1)}, []int{1}},
		{[]Entry{p(1), p(2), p(1), b(2)}, []int{1, 2}},
		{[]Entry{p(1), p(2), p(1), b(2), b(1), p(5)}, []int{1, 5}},
		{[]Entry{b(3)}, []int{3}},
		{[]Entry{p(1), b(3)}, []int{3}},
		{[]Entry{p(1), {Action: ActionPromote, Alias: "other", Version: 9}, {Action: ActionPublish, Version: 4}}, []int{1}},
	} {
		if got := holders(c.log, "champion"); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.log, got, c.want)
		}
	}
}

func TestPromoteTwiceIsLoggedOnce(t *testing.T) {
	t.Parallel()
	r := published(t, 1)
	promote(t, r, "champion", 1, 1)
	if entries, err := r.Log("churn"); err != nil || len(entries) != 2 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// A version that is not what was published, or does not replay, gets no alias,
// and the alias stays where it was.
func TestPromoteRefusesDamage(t *testing.T) {
	t.Parallel()
	flip := func(file string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			p := filepath.Join(dir, file)
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(p, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := map[string]func(*testing.T, string){
		"a lost file": func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, models.EncoderFile)); err != nil {
				t.Fatal(err)
			}
		},
		"a sound artifact of another version": func(t *testing.T, dir string) {
			for name, b := range mustArtifact(t, "churn", 77) {
				if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		},
		"a sound artifact of another model": func(t *testing.T, dir string) {
			for name, b := range mustArtifact(t, "trial", 2) {
				if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
	for _, file := range append(models.FileNames(), models.ManifestFile) {
		cases["a bit of "+file] = flip(file)
	}
	for what, spoil := range cases {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := published(t, 2)
			promote(t, r, "champion", 1)
			before, err := r.Stamp("churn")
			if err != nil {
				t.Fatal(err)
			}
			spoil(t, r.versionDir("churn", 2))
			err = r.Promote(t.Context(), "churn", 2, "champion", Event{})
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, models.ErrDamaged) || !strings.Contains(err.Error(), "v2") {
				t.Errorf("promote: %v", err)
			}
			if err := r.Verify("churn", 2); err == nil {
				t.Error("it verifies")
			}
			if after, err := r.Stamp("churn"); err != nil || after != before {
				t.Errorf("the alias moved: %v", err)
			}
			if err := r.Verify("churn", 1); err != nil {
				t.Error(err)
			}
		})
	}
}

// An artifact put under another model's name by hand is not loaded.
func TestArtifactOfAnotherModel(t *testing.T) {
	t.Parallel()
	r := published(t, 1)
	if err := writeDir(r.versionDir("churn", 2), mustArtifact(t, "trial", 2)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Load(Ref{Name: "churn", Version: 2}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "trial") {
		t.Errorf("load: %v", err)
	}
	if _, err := r.Publish(t.Context(), "churn", mustArtifact(t, "trial", 2), Event{}); !errors.Is(err, ErrReference) {
		t.Errorf("publish: %v", err)
	}
	// Its number is taken, and the log says what is wrong with it.
	if v, err := r.Publish(t.Context(), "churn", mustArtifact(t, "churn", 3), Event{}); err != nil || v != 3 {
		t.Errorf("publish beside it: %d, %v", v, err)
	}
	if entries, err := r.Log("churn"); err != nil || !entries[1].Recovered || !strings.Contains(entries[1].Note, "trial") {
		t.Errorf("%+v, %v", entries, err)
	}
}

// A rollback to a damaged version is refused too.
func TestRollbackRefusesDamage(t *testing.T) {
	t.Parallel()
	r := published(t, 2)
	promote(t, r, "champion", 1, 2)
	if err := os.Truncate(filepath.Join(r.versionDir("churn", 1), models.ModelFile), 10); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Rollback(t.Context(), "churn", "champion", Event{}); !errors.Is(err, models.ErrDamaged) {
		t.Errorf("rollback: %v", err)
	}
	if a, err := r.Aliases("churn"); err != nil || a["champion"] != 2 {
		t.Errorf("aliases %v, %v", a, err)
	}
}

func TestCancelledWriterChangesNothing(t *testing.T) {
	t.Parallel()
	r := published(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Publish(ctx, "churn", mustArtifact(t, "churn", 2), Event{}); !errors.Is(err, context.Canceled) {
		t.Errorf("publish: %v", err)
	}
	if err := r.Promote(ctx, "churn", 1, "champion", Event{}); !errors.Is(err, context.Canceled) {
		t.Errorf("promote: %v", err)
	}
	// Behind a lock that is held, a writer waits until its time is up.
	w, err := r.begin(t.Context(), "churn")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(ctx, "churn", 1, Event{}); !errors.Is(err, context.Canceled) {
		t.Errorf("delete: %v", err)
	}
	w.end()
	checkSettled(t, r, "churn")
	if v, err := r.Versions("churn"); err != nil || len(v) != 1 || len(v[0].Aliases) != 0 {
		t.Errorf("versions %v, %v", v, err)
	}
}

func TestParseAliases(t *testing.T) {
	good, err := parseAliases([]byte(" {\"champion\": 7, \"a\":1}\n"))
	if err != nil || len(good) != 2 || good["champion"] != 7 || good["a"] != 1 {
		t.Errorf("%v, %v", good, err)
	}
	for _, s := range hostileAliases() {
		if got, err := parseAliases([]byte(s)); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
	r := published(t, 1)
	for _, s := range hostileAliases() {
		if err := os.WriteFile(filepath.Join(r.modelDir("churn"), aliasesFile), []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Resolve(Ref{Name: "churn", Alias: "champion"}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func hostileAliases() []string {
	return []string{
		"", "null", "[]", "7", `{"champion": 7`, `{"champion": "7"}`, `{"champion": 0}`, `{"champion": -1}`, `{"champion": 1.5}`, `{"champion": 1e3}`,
		`{"champion": null}`, `{"champion": {}}`, `{"champion": [7]}`, `{"champion": 7, "champion": 8}`, `{"../x": 7}`, `{"7": 7}`, `{"v7": 7}`,
		`{"champion": 7}}`, `{"champion": 7} {}`, `{"champion": 9999999999}`, "\x00", `{"champion": 7,}`,
	}
}

func FuzzParseAliases(f *testing.F) {
	for _, s := range append(hostileAliases(), `{"champion": 7, "challenger": 8}`, "{}") {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		aliases, err := parseAliases(b)
		if err != nil {
			return
		}
		for alias, n := range aliases {
			if checkAlias(alias) != nil || checkVersion(n) != nil {
				t.Fatalf("%q: %v", b, aliases)
			}
		}
		text, err := formatAliases(aliases)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseAliases(text); err != nil || len(again) != len(aliases) {
			t.Fatalf("%q, written %q: %v, %v", b, text, again, err)
		}
	})
}
