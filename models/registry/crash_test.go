package registry

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary, started again with this variable, is another process at work
// on the registry in childDir.
const (
	childRole = "PROPENSITY_REGISTRY_CHILD"
	childDir  = "PROPENSITY_REGISTRY_DIR"
)

func TestMain(m *testing.M) {
	role := os.Getenv(childRole)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := childMain(role, Open(os.Getenv(childDir))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func childMain(role string, r *Registry) error {
	switch role {
	case "publish":
		for k := range 5 {
			f, err := smallArtifact("churn", k)
			if err != nil {
				return err
			}
			v, err := r.Publish(context.Background(), "churn", f, Event{Actor: role})
			if err != nil {
				return err
			}
			fmt.Println(v)
		}
		return nil
	case "crash":
		fmt.Println("ready")
		for k := 1; ; k++ {
			if err := churnOnce(r, k); err != nil {
				return err
			}
		}
	}
	return childOnDisk(role, r)
}

// churnOnce is one round of a writer: publish, promote, now and then roll back, try a
// canary, give and take another alias, and delete what is old.
func churnOnce(r *Registry, k int) error {
	ctx := context.Background()
	f, err := smallArtifact("churn", k)
	if err != nil {
		return err
	}
	v, err := r.Publish(ctx, "churn", f, Event{Actor: "crash"})
	if err != nil {
		return err
	}
	if err := r.Promote(ctx, "churn", v, Champion, Event{Actor: "crash"}); err != nil {
		return err
	}
	if k%4 == 0 {
		if _, err := r.SetCanary(ctx, "churn", max(1, v-1), float64(k%7+1)/8, Event{Actor: "crash"}); err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCanary) {
			return err
		}
		if err := r.Promote(ctx, "churn", v, "challenger", Event{Actor: "crash"}); err != nil {
			return err
		}
	}
	if k%4 == 1 {
		if err := errors.Join(ignore(r.EndCanary(ctx, "churn", Event{})), ignore(second(r.Unalias(ctx, "churn", "challenger", Event{})))); err != nil {
			return err
		}
	}
	if k%3 == 0 {
		if _, _, err := r.Rollback(ctx, "churn", Champion, Event{Actor: "crash"}); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	numbers, err := r.numbers("churn")
	if err != nil {
		return err
	}
	for _, n := range numbers[:max(0, len(numbers)-4)] {
		if err := r.Delete(ctx, "churn", n, Event{Actor: "crash"}); err != nil && !errors.Is(err, ErrInUse) {
			return err
		}
	}
	return nil
}

// ignore is nil for what is not there.
func ignore(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// Every number is given once, whoever asks: eight goroutines and two processes.
func TestConcurrentPublishers(t *testing.T) {
	t.Parallel()
	r := Open(filepath.Join(t.TempDir(), "registry"))
	const goroutines, each, processes, eachProcess = 8, 3, 2, 5
	var mu sync.Mutex
	var got []int
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for k := range each {
				f, err := smallArtifact("churn", g*each+k)
				if err != nil {
					t.Error(err)
					return
				}
				v, err := r.Publish(t.Context(), "churn", f, Event{})
				if err == nil {
					err = r.Promote(t.Context(), "churn", v, Champion, Event{})
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got = append(got, v)
				mu.Unlock()
			}
		})
	}
	for range processes {
		cmd := child(t, "publish", r.dir)
		wg.Go(func() {
			out, err := cmd.Output()
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for line := range strings.Lines(string(out)) {
				var v int
				if _, err := fmt.Sscan(line, &v); err != nil {
					t.Error(err)
				}
				got = append(got, v)
			}
		})
	}
	done := make(chan struct{})
	readers := sync.WaitGroup{}
	readers.Go(func() { // a reader sees the champion, whole, all along
		seen := false
		for {
			select {
			case <-done:
				return
			default:
			}
			_, _, err := r.Load(Ref{Name: "churn", Alias: Champion})
			if err != nil && (seen || !errors.Is(err, ErrNotFound)) {
				t.Errorf("reader: %v", err)
				return
			}
			seen = seen || err == nil
		}
	})
	wg.Wait()
	close(done)
	readers.Wait()
	slices.Sort(got)
	var want []int
	for n := range goroutines*each + processes*eachProcess {
		want = append(want, n+1)
	}
	if !slices.Equal(got, want) {
		t.Errorf("numbers %v", got)
	}
	checkSettled(t, r, "churn")
}

// A writer killed at any moment leaves what readers can use and the next writer
// can put in order.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	r := Open(filepath.Join(t.TempDir(), "registry"))
	rng := rand.New(rand.NewPCG(7, 7))
	kills := 20
	if testing.Short() {
		kills = 3
	}
	highest := 0
	for range kills {
		cmd := child(t, "crash", r.dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatalf("%q, %v", line, err)
		}
		time.Sleep(time.Duration(rng.Int64N(int64(60 * time.Millisecond))))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v", err)
		}
		if err := checkWhole(r, "churn"); err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		v, err := r.Publish(t.Context(), "churn", mustArtifact(t, "churn", 1), Event{})
		if err != nil {
			t.Fatal(err)
		}
		if v <= highest {
			t.Fatalf("version %d after %d", v, highest)
		}
		highest = v
		checkSettled(t, r, "churn")
	}
	if highest < kills {
		t.Errorf("only %d versions", highest)
	}
}

// The same, step by step: each state that a kill can leave, made by hand.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	dir := func(r *Registry, file string) string { return filepath.Join(r.modelDir("churn"), file) }
	forget := func(r *Registry, n int) error { // the last n entries were not written
		b, err := os.ReadFile(dir(r, logFile))
		if err != nil {
			return err
		}
		lines := strings.SplitAfter(string(b), "\n")
		return os.WriteFile(dir(r, logFile), []byte(strings.Join(lines[:len(lines)-1-n], "")), 0o644)
	}
	type want struct {
		versions  []int
		next      int
		champion  int
		recovered []string // action and version
	}
	for what, c := range map[string]struct {
		leave func(r *Registry) error
		want  want
	}{
		"nothing": {func(r *Registry) error { return nil }, want{[]int{1, 2}, 3, 1, nil}},
		"a version half written": {func(r *Registry) error {
			return errors.Join(os.Mkdir(dir(r, ".publish-v3"), 0o755), os.WriteFile(dir(r, ".publish-v3/card.md"), []byte("x"), 0o644))
		}, want{[]int{1, 2}, 3, 1, nil}},
		"a version not logged": {func(r *Registry) error {
			if _, err := r.Publish(context.Background(), "churn", mustArtifact(t, "churn", 3), Event{}); err != nil {
				return err
			}
			return forget(r, 1)
		}, want{[]int{1, 2, 3}, 4, 1, []string{"publish 3"}}},
		"new aliases not yet in place": {func(r *Registry) error {
			return errors.Join(os.WriteFile(dir(r, newFile(aliasesFile)), []byte(`{"champion": 2}`), 0o644), os.WriteFile(dir(r, undoFile(aliasesFile)), []byte(`{`), 0o644))
		}, want{[]int{1, 2}, 3, 1, nil}},
		"a promotion not logged": {func(r *Registry) error {
			return errors.Join(r.Promote(context.Background(), "churn", 2, Champion, Event{}), forget(r, 1))
		}, want{[]int{1, 2}, 3, 2, []string{"promote 2"}}},
		"an alias taken away, not logged": {func(r *Registry) error {
			ctx := context.Background()
			err := errors.Join(r.Promote(ctx, "churn", 2, "challenger", Event{}), second(r.Unalias(ctx, "churn", "challenger", Event{})))
			return errors.Join(err, forget(r, 1))
		}, want{[]int{1, 2}, 3, 1, []string{"unalias 2"}}},
		"a canary half written": {func(r *Registry) error { return os.WriteFile(dir(r, newFile(canaryFile)), []byte("{"), 0o644) },
			want{[]int{1, 2}, 3, 1, nil}},
		"a canary not logged": {func(r *Registry) error {
			_, err := r.SetCanary(context.Background(), "churn", 2, 0.25, Event{})
			return errors.Join(err, forget(r, 1))
		}, want{[]int{1, 2}, 3, 1, []string{"canary 2"}}},
		"a canary ended, not logged": {func(r *Registry) error {
			_, err := r.SetCanary(context.Background(), "churn", 2, 0.25, Event{})
			return errors.Join(err, r.EndCanary(context.Background(), "churn", Event{}), forget(r, 1))
		}, want{[]int{1, 2}, 3, 1, []string{"canary 2"}}},
		"a canary whose champion is gone": {func(r *Registry) error {
			_, err := r.SetCanary(context.Background(), "churn", 2, 0.25, Event{})
			return errors.Join(err, os.WriteFile(dir(r, aliasesFile), []byte(`{"champion": 2}`), 0o644))
		}, want{[]int{1, 2}, 3, 2, []string{"promote 2"}}},
		"a deletion not logged": {func(r *Registry) error { return os.Rename(dir(r, "v2"), dir(r, ".delete-v2")) },
			want{[]int{1}, 3, 1, []string{"delete 2"}}},
		"a deletion logged, files left": {func(r *Registry) error {
			if err := r.Delete(context.Background(), "churn", 2, Event{}); err != nil {
				return err
			}
			return errors.Join(os.Mkdir(dir(r, ".delete-v2"), 0o755), os.WriteFile(dir(r, ".delete-v2/card.md"), []byte("x"), 0o644))
		}, want{[]int{1}, 3, 1, nil}},
		"a version withdrawn": {func(r *Registry) error { return os.Mkdir(dir(r, ".delete-v3"), 0o755) },
			want{[]int{1, 2}, 4, 1, []string{"delete 3"}}},
		"a lost log": {func(r *Registry) error { return os.Remove(dir(r, logFile)) },
			want{[]int{1, 2}, 3, 1, []string{"publish 1", "publish 2", "promote 1"}}},
		"a version put there by hand": {func(r *Registry) error { return os.CopyFS(dir(r, "v9"), os.DirFS(dir(r, "v1"))) },
			want{[]int{1, 2, 9}, 10, 1, []string{"publish 9"}}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := published(t, 2)
			promote(t, r, Champion, 1)
			if err := c.leave(r); err != nil {
				t.Fatal(err)
			}
			// Readers, before any writer comes by.
			if err := checkWhole(r, "churn"); err != nil {
				t.Fatal(err)
			}
			before, err := r.Versions("churn")
			if err != nil {
				t.Fatal(err)
			}
			var numbers []int
			for _, v := range before {
				numbers = append(numbers, v.Number)
				if v.Hash == "" || time.Since(v.Published) > time.Minute {
					t.Errorf("%+v", v)
				}
			}
			if !slices.Equal(numbers, c.want.versions) {
				t.Errorf("a reader sees versions %v, want %v", numbers, c.want.versions)
			}
			v, err := r.Publish(t.Context(), "churn", mustArtifact(t, "churn", 5), Event{})
			if err != nil || v != c.want.next {
				t.Fatalf("next: %d, %v; want %d", v, err, c.want.next)
			}
			checkSettled(t, r, "churn")
			entries, err := r.Log("churn")
			if err != nil {
				t.Fatal(err)
			}
			var recovered []string
			for _, e := range entries {
				if e.Recovered {
					recovered = append(recovered, fmt.Sprint(e.Action, " ", e.Version))
					if e.Note == "" || e.Hash == "" && what != "a version withdrawn" {
						t.Errorf("%+v", e)
					}
				}
			}
			if !slices.Equal(recovered, c.want.recovered) {
				t.Errorf("recovered %v, want %v", recovered, c.want.recovered)
			}
			if a, err := r.Aliases("churn"); err != nil || a[Champion] != c.want.champion {
				t.Errorf("aliases %v, %v", a, err)
			}
		})
	}
}
