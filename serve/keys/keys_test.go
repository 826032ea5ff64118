package keys

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is set by the test alone.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

func create(t testing.TB, path string, like Key) (Key, string) {
	t.Helper()
	if like.Name == "" {
		like.Name = "test"
	}
	if like.Scopes == nil {
		like.Scopes = []string{Score}
	}
	k, text, err := Create(context.Background(), path, like, noon)
	if err != nil {
		t.Fatal(err)
	}
	return k, text
}

func open(t testing.TB, path string, c *clock, changed func(Change)) *Ring {
	t.Helper()
	r, err := Open(path, c.now, changed)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "keys.json") }

func found(t testing.TB, r *Ring, text string, want error) {
	t.Helper()
	if _, err := r.Find(text); !errors.Is(err, want) || want == nil && err != nil {
		t.Fatalf("the key gives %v, want %v", err, want)
	}
}

func TestOnlyTheHashIsKept(t *testing.T) {
	path := newPath(t)
	k, text := create(t, path, Key{Name: "crm", Scopes: []string{Score, Read}})
	if !regexp.MustCompile(`^prop_[a-z2-7]{8}_[a-z2-7]{52}$`).MatchString(text) || !strings.Contains(text, k.ID) {
		t.Errorf("the text is %q, of %s", text, k.ID)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	secret := text[strings.LastIndexByte(text, '_')+1:]
	sum := sha256.Sum256([]byte(text))
	if strings.Contains(string(b), secret) || !strings.Contains(string(b), hex.EncodeToString(sum[:])) {
		t.Errorf("the file is\n%s", b)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	r := open(t, path, &clock{at: noon}, nil)
	h, err := r.Find(text)
	if err != nil || h.Key.Name != "crm" || !h.May(Read) || !h.May(Score) || h.May(Write) || h.May(Admin) || h.May("") {
		t.Errorf("%+v, %v", h, err)
	}
	other := "prop_" + k.ID + "_" + strings.Repeat("a", 52)
	for _, wrong := range []string{"", "prop_", text[:len(text)-1], text + "a", strings.ToUpper(text), secret, other, k.Secrets[0].Hash, "prop_aaaaaaaa_" + secret, strings.Repeat("é", 33)} {
		found(t, r, wrong, ErrUnknown)
	}
}

func TestAdminHasAllScopes(t *testing.T) {
	path := newPath(t)
	_, text := create(t, path, Key{Scopes: []string{Admin}})
	h, err := open(t, path, &clock{at: noon}, nil).Find(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Scopes() {
		if !h.May(s) {
			t.Errorf("admin may not %s", s)
		}
	}
}

// No change of the file goes unseen by the very next look, though changes come faster
// than the clock of the file system ticks, leave files of the same size, and their
// numbers (inodes) are used again.
func TestChangesHoldFromTheNextRequest(t *testing.T) {
	path, ctx := newPath(t), context.Background()
	k, text := create(t, path, Key{})
	r := open(t, path, &clock{at: noon}, nil)
	for range 40 {
		_, next, err := Rotate(ctx, path, k.ID, 0, noon)
		if err != nil {
			t.Fatal(err)
		}
		found(t, r, next, nil)
		found(t, r, text, ErrUnknown)
		text = next
	}
	// The same by hand, in place: only the clock of the file system tells.
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	hash, other := hex.EncodeToString(sum[:]), strings.Repeat("ab", 32)
	for range 30 {
		for _, c := range []struct {
			hash string
			want error
		}{{other, ErrUnknown}, {hash, nil}} {
			if err := os.WriteFile(path, []byte(strings.Replace(string(b), hash, c.hash, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			found(t, r, text, c.want)
		}
	}
	if _, err := Revoke(ctx, path, k.ID, noon); err != nil {
		t.Fatal(err)
	}
	found(t, r, text, ErrUnknown)
	if list := r.List(); len(list) != 1 || list[0].Revoked != noon || list[0].Secrets != nil {
		t.Errorf("the record of the revoked key: %+v", list)
	}
}

// A file that lies still is not read again.
func TestSettledFileIsNotRead(t *testing.T) {
	path := newPath(t)
	_, text := create(t, path, Key{})
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	r := open(t, path, &clock{at: noon}, nil)
	before := r.held.Load()
	found(t, r, text, nil)
	if r.held.Load() != before || !before.settled {
		t.Error("the file was read again")
	}
}

func TestRotationOverlaps(t *testing.T) {
	path, ctx, c := newPath(t), context.Background(), &clock{at: noon}
	k, first := create(t, path, Key{})
	r := open(t, path, c, nil)
	_, second, err := r.Rotate(ctx, k.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	h1, err1 := r.Find(first)
	h2, err2 := r.Find(second)
	if err1 != nil || err2 != nil || h1 != h2 {
		t.Fatalf("in the overlap: %v, %v, one key: %v", err1, err2, h1 == h2)
	}
	c.pass(time.Hour - time.Second)
	found(t, r, first, nil)
	c.pass(time.Second)
	found(t, r, first, ErrExpired)
	found(t, r, second, nil)
	// An overlap does not lengthen an earlier one; what is over goes.
	_, third, err := r.Rotate(ctx, k.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	found(t, r, first, ErrUnknown)
	_, fourth, err := r.Rotate(ctx, k.ID, 10*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c.pass(time.Hour)
	found(t, r, second, ErrExpired)
	found(t, r, third, nil)
	found(t, r, fourth, nil)
	if _, _, err := r.Rotate(ctx, k.ID, 0); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{first, second, third, fourth} {
		found(t, r, text, ErrUnknown)
	}
	for range maxSecrets - 1 {
		if _, _, err := r.Rotate(ctx, k.ID, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := r.Rotate(ctx, k.ID, time.Hour); !errors.Is(err, ErrKey) {
		t.Errorf("%d texts at once: %v", maxSecrets+1, err)
	}
}

func TestExpiry(t *testing.T) {
	path, c := newPath(t), &clock{at: noon}
	_, text := create(t, path, Key{Expires: noon.Add(time.Minute)})
	r := open(t, path, c, nil)
	c.pass(time.Minute - 1)
	found(t, r, text, nil)
	c.pass(1)
	found(t, r, text, ErrExpired)
}

func TestNoChangeIsLost(t *testing.T) {
	path, ctx := newPath(t), context.Background()
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			for range 10 {
				k, _, err := Create(ctx, path, Key{Name: "a", Scopes: []string{Read}}, noon)
				if err == nil {
					_, err = Revoke(ctx, path, k.ID, noon)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	list, err := List(path)
	if err != nil || len(list) != 40 || slices.ContainsFunc(list, func(k Key) bool { return k.Revoked.IsZero() }) {
		t.Errorf("%d keys, %v", len(list), err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".keys-*"))
	if err != nil || left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// What others do to the file is told once, what the Ring does is not; a file that is
// damaged or gone leaves the keys as they were.
func TestChangesAreTold(t *testing.T) {
	path, ctx := newPath(t), context.Background()
	var told []Change
	a, text := create(t, path, Key{})
	r := open(t, path, &clock{at: noon}, func(c Change) { told = append(told, c) })
	own, _, err := r.Create(ctx, Key{Name: "own", Scopes: []string{Read}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Revoke(ctx, own.ID); err != nil || told != nil {
		t.Fatalf("%v; told %+v", err, told)
	}
	b, _ := create(t, path, Key{})
	found(t, r, text, nil)
	if _, _, err := Rotate(ctx, path, b.ID, time.Hour, noon); err != nil {
		t.Fatal(err)
	}
	found(t, r, text, nil)
	if _, err := Revoke(ctx, path, b.ID, noon); err != nil {
		t.Fatal(err)
	}
	found(t, r, text, nil)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	found(t, r, text, nil)
	found(t, r, text, nil)
	if r.Cause() == nil {
		t.Error("no cause")
	}
	if _, _, err := r.Create(ctx, Key{Name: "c", Scopes: []string{Read}}); !errors.Is(err, ErrFile) {
		t.Errorf("a damaged file was written over: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	found(t, r, text, nil)
	empty := []byte(`{"version": 1, "keys": []}`)
	if err := os.WriteFile(path, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	found(t, r, text, ErrUnknown)
	if r.Cause() != nil {
		t.Error(r.Cause())
	}
	ok := len(told) == 6 &&
		slices.Equal(told[0].Added, []string{b.ID}) && slices.Equal(told[1].Changed, []string{b.ID}) && slices.Equal(told[2].Revoked, []string{b.ID}) &&
		errors.Is(told[3].Err, ErrFile) && errors.Is(told[4].Err, fs.ErrNotExist) && slices.Equal(told[5].Revoked, []string{a.ID})
	if !ok {
		t.Errorf("told %+v", told)
	}
}

func TestFilesOfOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no modes of files")
	}
	path := newPath(t)
	create(t, path, Key{})
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	create(t, link, Key{})
	if list, err := List(path); err != nil || len(list) != 2 {
		t.Errorf("through a link: %d keys, %v", len(list), err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 1234, 1235); err != nil {
			t.Fatal(err)
		}
		create(t, path, Key{})
		create(t, path, Key{})
		for _, p := range []string{path, path + lockSuffix} {
			owner, err := ownerOf(p)
			if err != nil || owner != [2]int{1234, 1235} {
				t.Errorf("%s is of %v, %v", p, owner, err)
			}
		}
	}
	for _, mode := range []fs.FileMode{0o620, 0o602} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, nil, nil); !errors.Is(err, ErrFile) {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
	if _, err := List(filepath.Dir(path)); !errors.Is(err, ErrFile) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.json"), nil, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestNoSuchKey(t *testing.T) {
	path, ctx := newPath(t), context.Background()
	for name, like := range map[string]Key{
		"no name":      {Scopes: []string{Read}},
		"a long name":  {Name: strings.Repeat("n", maxName+1), Scopes: []string{Read}},
		"two lines":    {Name: "a\nb", Scopes: []string{Read}},
		"no scope":     {Name: "a"},
		"another":      {Name: "a", Scopes: []string{"root"}},
		"twice":        {Name: "a", Scopes: []string{Read, Read}},
		"below zero":   {Name: "a", Scopes: []string{Read}, Rate: -1},
		"no rate":      {Name: "a", Scopes: []string{Read}, Burst: 5},
		"below a day":  {Name: "a", Scopes: []string{Read}, Daily: -1},
		"over already": {Name: "a", Scopes: []string{Read}, Expires: noon},
	} {
		if _, _, err := Create(ctx, path, like, noon); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
	create(t, path, Key{})
	if _, err := Revoke(ctx, path, "aaaaaaaa", noon); !errors.Is(err, ErrNone) {
		t.Errorf("revoke: %v", err)
	}
	if _, _, err := Rotate(ctx, path, "", 0, noon); !errors.Is(err, ErrNone) {
		t.Errorf("rotate: %v", err)
	}
}

func BenchmarkFind(b *testing.B) {
	path := newPath(b)
	_, text := create(b, path, Key{Rate: 1e9})
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		b.Fatal(err)
	}
	r, err := Open(path, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		h, err := r.Find(text)
		if err != nil || !h.May(Score) {
			b.Fatal(err)
		}
		h.Take(1)
	}
}
