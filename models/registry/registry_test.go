package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"propensity/models"
)

// published makes a registry with n versions of churn, the k-th made from
// artifact k.
func published(t *testing.T, n int) *Registry {
	t.Helper()
	r := Open(filepath.Join(t.TempDir(), "registry"))
	for k := 1; k <= n; k++ {
		if v, err := r.Publish(t.Context(), "churn", mustArtifact(t, "churn", k), Event{Actor: "ann"}); err != nil || v != k {
			t.Fatalf("publish %d: %d, %v", k, v, err)
		}
	}
	return r
}

func promote(t *testing.T, r *Registry, alias string, versions ...int) {
	t.Helper()
	for _, v := range versions {
		if err := r.Promote(t.Context(), "churn", v, alias, Event{Actor: "ann"}); err != nil {
			t.Fatalf("promote %d: %v", v, err)
		}
	}
}

// checkWhole is what a reader must see at any moment, without a lock: whole
// versions that verify, aliases at whole versions, a log that can be read. It
// is also true between a change and its log entry.
func checkWhole(r *Registry, name string) error {
	versions, err := r.Versions(name)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if err := r.Verify(name, v.Number); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	aliases, err := r.Aliases(name)
	if err != nil {
		return err
	}
	for alias := range aliases {
		if _, _, err := r.Load(Ref{Name: name, Alias: alias}); err != nil {
			return err
		}
	}
	entries, err := r.Log(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Alias == Champion && aliases[Champion] == 0 { // tests take only others away
			return fmt.Errorf("the alias %s is lost", e.Alias)
		}
	}
	c, err := r.Canary(name)
	if err != nil {
		return err
	}
	if c.Version != 0 {
		if _, _, err := r.Load(Ref{Name: name, Version: c.Version}); err != nil {
			return fmt.Errorf("canary %+v: %w", c, err)
		}
	}
	return nil
}

// checkSettled is what must hold besides once a writer has come by: the log
// tells of exactly the versions and aliases that are there, and nothing is left.
func checkSettled(t *testing.T, r *Registry, name string) {
	t.Helper()
	if err := checkWhole(r, name); err != nil {
		t.Fatal(err)
	}
	entries, err := r.Log(name)
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := r.numbers(name)
	if err != nil {
		t.Fatal(err)
	}
	logged := []int(nil)
	for n := range publications(entries) {
		logged = append(logged, n)
	}
	slices.Sort(logged)
	if !slices.Equal(logged, numbers) {
		t.Fatalf("the log tells of versions %v, there are %v", logged, numbers)
	}
	aliases, err := r.Aliases(name)
	if err != nil {
		t.Fatal(err)
	}
	for alias, v := range aliases {
		if stack := holders(entries, alias); len(stack) == 0 || stack[len(stack)-1] != v {
			t.Fatalf("the log tells that %q was at %v, it is at %d", alias, stack, v)
		}
	}
	for _, e := range entries {
		if e.Alias != "" && heldBy(entries, e.Alias) != aliases[e.Alias] {
			t.Fatalf("the log tells that %q was at %d, it is at %d", e.Alias, heldBy(entries, e.Alias), aliases[e.Alias])
		}
	}
	c, err := readCanary(filepath.Join(r.modelDir(name), canaryFile))
	if logged := canaryOf(entries); err != nil || c.Version != logged.Version || c.Share != logged.Share || c.Champion != 0 && c.Champion != aliases[Champion] {
		t.Fatalf("the log tells of the canary %+v, there is %+v, %v", logged, c, err)
	}
	list, err := os.ReadDir(r.modelDir(name))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), ".") && e.Name() != lockFile {
			t.Fatalf("%s was left behind", e.Name())
		}
	}
}

func TestLifeOfAModel(t *testing.T) {
	t.Parallel()
	r := published(t, 3)
	start := time.Now()
	if names, err := r.Models(); err != nil || !slices.Equal(names, []string{"churn"}) {
		t.Fatalf("Models: %v, %v", names, err)
	}
	promote(t, r, "champion", 1, 2)
	promote(t, r, "challenger", 3)

	versions, err := r.Versions("churn")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{{}, {"champion"}, {"challenger"}} {
		v := versions[i]
		a, err := models.ParseArtifact(mustArtifact(t, "churn", i+1))
		if err != nil {
			t.Fatal(err)
		}
		if v.Number != i+1 || !slices.Equal(v.Aliases, want) || v.Hash != a.Hash() || start.Sub(v.Published).Abs() > time.Minute {
			t.Errorf("version %d: %+v", i+1, v)
		}
	}
	f, err := r.Read("churn", 2)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(mustArtifact(t, "churn", 2), f); d != "" {
		t.Errorf("read back: %s", d)
	}
	s, ref, err := r.Load(Ref{Name: "churn", Alias: "champion"})
	if err != nil || ref != (Ref{"churn", 2, "champion"}) || s.Artifact().Hash() != versions[1].Hash {
		t.Errorf("Load: %+v, %v", ref, err)
	}
	b, err := os.ReadFile(filepath.Join(r.dir, "churn", "aliases.json"))
	if err != nil || string(b) != "{\n  \"challenger\": 3,\n  \"champion\": 2\n}\n" {
		t.Errorf("aliases.json: %s, %v", b, err)
	}
	checkSettled(t, r, "churn")

	if err := r.Delete(t.Context(), "churn", 2, Event{}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "champion") {
		t.Errorf("delete of the champion: %v", err)
	}
	promote(t, r, "challenger", 2)
	if err := r.Delete(t.Context(), "churn", 3, Event{Actor: "bob", Note: "no use"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read("churn", 3); !errors.Is(err, ErrNotFound) {
		t.Errorf("read of a deleted version: %v", err)
	}
	// The number of a deleted version is not used again, though it was the last.
	if v, err := r.Publish(t.Context(), "churn", mustArtifact(t, "churn", 4), Event{}); err != nil || v != 4 {
		t.Errorf("publish after delete: %d, %v", v, err)
	}
	checkSettled(t, r, "churn")

	entries, err := r.Log("churn")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, e := range entries {
		got = append(got, e.Action)
		if e.Recovered || i > 0 && e.Time.Before(entries[i-1].Time) {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	if want := strings.Fields("publish publish publish promote promote promote promote delete publish"); !slices.Equal(got, want) {
		t.Errorf("log: %v", got)
	}
	if e := entries[4]; e.Version != 2 || e.Previous != 1 || e.Alias != "champion" || e.Actor != "ann" || e.Hash != versions[1].Hash {
		t.Errorf("promotion: %+v", e)
	}
	if e := entries[7]; e.Version != 3 || e.Actor != "bob" || e.Note != "no use" || e.Hash != versions[2].Hash {
		t.Errorf("deletion: %+v", e)
	}
}

func TestNotFoundNamesWhatExists(t *testing.T) {
	t.Parallel()
	r := published(t, 2)
	promote(t, r, "champion", 1)
	for s, want := range map[string]string{
		"trial":      "it has churn",
		"churn@9":    "it has 1, 2",
		"churn@next": "it has champion (1)",
	} {
		ref, err := ParseRef(s)
		if err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{"Resolve": second(r.Resolve(ref)), "Load": third(r.Load(ref))} {
			if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s(%s): %v; want %q", what, s, err, want)
			}
		}
	}
	none := Open(filepath.Join(t.TempDir(), "none"))
	for what, err := range map[string]error{
		"Models": second(none.Models()), "Versions": second(none.Versions("churn")), "Stamp": second(none.Stamp("churn")), "Log": second(none.Log("churn")),
		"Aliases": second(none.Aliases("churn")), "Promote": none.Promote(t.Context(), "churn", 1, "champion", Event{}), "Verify": none.Verify("churn", 1),
		"Delete": none.Delete(t.Context(), "churn", 1, Event{}), "Rollback": third(none.Rollback(t.Context(), "churn", "champion", Event{})),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s in no registry: %v", what, err)
		}
	}
	if _, err := os.Lstat(none.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("asking made a directory: %v", err)
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

// Every entrance refuses names that could lead out of the registry.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	r := published(t, 1)
	ctx := context.Background()
	for _, name := range []string{"", "..", "../x", "a/b", "Churn", ".lock", "churn@1", "7"} {
		for what, err := range map[string]error{
			"Publish": second(r.Publish(ctx, name, mustArtifact(t, "churn", 1), Event{})), "Resolve": second(r.Resolve(Ref{Name: name, Version: 1})),
			"Read": second(r.Read(name, 1)), "Versions": second(r.Versions(name)), "Aliases": second(r.Aliases(name)), "Log": second(r.Log(name)),
			"Promote": r.Promote(ctx, name, 1, "champion", Event{}), "Rollback": third(r.Rollback(ctx, name, "champion", Event{})),
			"Delete": r.Delete(ctx, name, 1, Event{}), "Verify": r.Verify(name, 1), "Stamp": second(r.Stamp(name)),
			"alias": r.Promote(ctx, "churn", 1, name, Event{}), "alias back": third(r.Rollback(ctx, "churn", name, Event{})),
		} {
			if !errors.Is(err, ErrReference) {
				t.Errorf("%s(%q): %v", what, name, err)
			}
		}
	}
	for _, n := range []int{0, -1, maxVersion + 1} {
		if err := r.Promote(ctx, "churn", n, "champion", Event{}); !errors.Is(err, ErrReference) {
			t.Errorf("promote %d: %v", n, err)
		}
	}
	checkSettled(t, r, "churn")
}

func TestStamp(t *testing.T) {
	t.Parallel()
	r := published(t, 2)
	seen := map[string]bool{}
	stamp := func() string {
		t.Helper()
		s, err := r.Stamp("churn")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := r.Stamp("churn"); err != nil || again != s {
			t.Fatalf("%s, then %s, %v", s, again, err)
		}
		return s
	}
	if s := stamp(); s != "none" {
		t.Errorf("without aliases: %s", s)
	}
	for range 5 { // as fast as it goes: the clock alone might not tell them apart
		for _, v := range []int{1, 2} {
			before := stamp()
			promote(t, r, "champion", v)
			if s := stamp(); s == before {
				t.Errorf("the champion moved to %d, the stamp stayed %s", v, s)
			} else {
				seen[s] = true
			}
		}
	}
	if len(seen) < 2 {
		t.Errorf("%d stamps", len(seen))
	}
	before := stamp()
	if _, err := r.Publish(t.Context(), "churn", mustArtifact(t, "churn", 9), Event{}); err != nil || stamp() != before {
		t.Errorf("publishing alone changed the stamp: %v", err)
	}
}

// A version directory is read only as far as it can be part of an artifact.
func TestReaderLimits(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(dir string) error{
		"an unknown file": func(dir string) error { return os.WriteFile(filepath.Join(dir, "extra.bin"), []byte("x"), 0o644) },
		"a hidden file":   func(dir string) error { return os.WriteFile(filepath.Join(dir, ".x"), nil, 0o644) },
		"a link": func(dir string) error {
			p := filepath.Join(dir, "card.md")
			if err := os.Rename(p, filepath.Join(dir, "..", "card.md")); err != nil {
				return err
			}
			return os.Symlink("../card.md", p)
		},
		"a link within": func(dir string) error {
			p := filepath.Join(dir, "card.md")
			if err := os.Remove(p); err != nil {
				return err
			}
			return os.Symlink("spec.yaml", p)
		},
		"a directory": func(dir string) error {
			p := filepath.Join(dir, "card.md")
			if err := os.Remove(p); err != nil {
				return err
			}
			return os.Mkdir(p, 0o755)
		},
		"a huge file": func(dir string) error { return os.Truncate(filepath.Join(dir, "model.arrow"), maxFile+1) },
		"a huge crowd": func(dir string) error {
			for i := range 2000 {
				if err := os.WriteFile(filepath.Join(dir, strings.Repeat("x", 1+i%50)+string(rune('a'+i%26))), nil, 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		r := published(t, 1)
		if err := spoil(r.versionDir("churn", 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read("churn", 1); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
		if err := r.Promote(t.Context(), "churn", 1, "champion", Event{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: promote: %v", what, err)
		}
	}
}

// Links in the place of a model, a version, the aliases or the log are refused
// or not seen.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	r := published(t, 1)
	promote(t, r, "champion", 1)
	if err := os.Symlink("v1", r.versionDir("churn", 2)); err != nil {
		t.Skip("no links here: ", err)
	}
	if err := os.Symlink("churn", r.modelDir("trial")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read("churn", 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("linked version: %v", err)
	}
	if _, err := r.Versions("trial"); !errors.Is(err, ErrDamaged) {
		t.Errorf("linked model: %v", err)
	}
	// The name is taken all the same: nothing is written over it.
	if v, err := r.Publish(t.Context(), "churn", mustArtifact(t, "churn", 2), Event{}); err != nil || v != 3 {
		t.Errorf("publish beside a linked v2: %d, %v", v, err)
	}
	for _, file := range []string{aliasesFile, logFile} {
		p := filepath.Join(r.modelDir("churn"), file)
		if err := errors.Join(os.Rename(p, p+".real"), os.Symlink(file+".real", p)); err != nil {
			t.Fatal(err)
		}
	}
	for what, err := range map[string]error{"Aliases": second(r.Aliases("churn")), "Log": second(r.Log("churn")), "Stamp": second(r.Stamp("churn"))} {
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s through a link: %v", what, err)
		}
	}
}
