package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// childOnDisk is a child whose files may not grow beyond a limit, as on a full
// disk: role is "limit N ACTION".
func childOnDisk(role string, r *Registry) error {
	var limit uint64
	var action string
	if _, err := fmt.Sscanf(role, "limit %d %s", &limit, &action); err != nil {
		return fmt.Errorf("role %q: %w", role, err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	var err error
	switch action {
	case "publish":
		var f map[string][]byte
		if f, err = smallArtifact("churn", 3); err == nil {
			_, err = r.Publish(context.Background(), "churn", f, Event{})
		}
	case "promote":
		err = r.Promote(context.Background(), "churn", 2, Champion, Event{})
	case "first":
		err = r.Promote(context.Background(), "churn", 2, "first", Event{})
	case "unalias":
		_, err = r.Unalias(context.Background(), "churn", Champion, Event{})
	case "canary":
		_, err = r.SetCanary(context.Background(), "churn", 2, 0.5, Event{})
	case "delete":
		err = r.Delete(context.Background(), "churn", 2, Event{})
	case "rollback":
		_, _, err = r.Rollback(context.Background(), "churn", Champion, Event{})
	}
	if !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%s: want file too large, got %v", action, err)
	}
	return nil
}

// Where the disk is full, whichever file it strikes, the error says so and
// nothing has changed.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	small := mustArtifact(t, "churn", 3)
	largest := 0
	for _, b := range small {
		largest = max(largest, len(b))
	}
	snapshot := func(r *Registry) map[string]string {
		t.Helper()
		out := map[string]string{}
		err := filepath.WalkDir(r.dir, func(path string, e os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.IsDir() {
				out[path] = ""
				return nil
			}
			b, err := os.ReadFile(path)
			out[path] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	long := strings.Repeat("x", 2*largest)
	for _, c := range []struct {
		action string
		limit  int
		log    bool // make the log longer than the limit, so that it is what fails
	}{
		{"publish", 0, true}, {"promote", 0, true}, {"delete", 0, true}, // the entry's first bytes still fit
		{"publish", 1, false}, {"publish", 300, false}, {"publish", largest - 1, false},
		{"publish", largest + 100, true}, {"promote", largest + 100, true}, {"first", largest + 100, true},
		{"rollback", largest + 100, true}, {"delete", largest + 100, true}, {"promote", 10, false},
		{"unalias", 0, true}, {"unalias", 1, false}, {"canary", 0, true}, {"canary", 10, false},
	} {
		t.Run(fmt.Sprintf("%s within %d", c.action, c.limit), func(t *testing.T) {
			t.Parallel()
			r := published(t, 2)
			if c.action == "rollback" {
				promote(t, r, Champion, 2)
			}
			e := Event{}
			if c.log {
				e.Note = long
			}
			if err := r.Promote(t.Context(), "churn", 1, Champion, e); err != nil {
				t.Fatal(err)
			}
			if c.limit == 0 {
				info, err := os.Stat(filepath.Join(r.modelDir("churn"), logFile))
				if err != nil {
					t.Fatal(err)
				}
				c.limit = int(info.Size()) + 20
			}
			before := snapshot(r)
			cmd := child(t, fmt.Sprintf("limit %d %s", c.limit, c.action), r.dir)
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			after := snapshot(r)
			if withdrawn := filepath.Join(r.modelDir("churn"), ".delete-v3"); c.action == "publish" && c.log {
				// The number was visible for a moment: it is marked as used.
				if _, ok := after[withdrawn]; !ok {
					t.Error("no mark of the withdrawn version")
				}
				delete(after, withdrawn)
			}
			if d := cmp.Diff(before, after); d != "" {
				t.Error(d)
			}
			// With room again, all goes on.
			if v, err := r.Publish(t.Context(), "churn", small, Event{}); err != nil || v < 3 {
				t.Errorf("%d, %v", v, err)
			}
			checkSettled(t, r, "churn")
		})
	}
}

// A registry that may only be read serves, and refuses changes with the
// system's reason.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	r := published(t, 2)
	promote(t, r, Champion, 1)
	for path := r.modelDir("churn"); path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, 0o755) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Getuid() == 0 { // whom no permission stops: this thread, and no other, becomes nobody
			runtime.LockOSThread() // and ends with the goroutine
			if err := syscall.Setfsuid(65534); err != nil {
				t.Error(err)
				return
			}
		}
		if _, _, err := r.Load(Ref{Name: "churn", Alias: Champion}); err != nil {
			t.Error(err)
		}
		if err := checkWhole(r, "churn"); err != nil {
			t.Error(err)
		}
		ctx := context.Background()
		for what, err := range map[string]error{
			"publish": second(r.Publish(ctx, "churn", mustArtifact(t, "churn", 3), Event{})), "new model": second(r.Publish(ctx, "trial", mustArtifact(t, "trial", 3), Event{})),
			"promote": r.Promote(ctx, "churn", 2, Champion, Event{}), "delete": r.Delete(ctx, "churn", 2, Event{}),
		} {
			if !errors.Is(err, os.ErrPermission) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}()
	<-done
}
