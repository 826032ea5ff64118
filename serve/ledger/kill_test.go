package ledger_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"propensity/serve/database"
	"propensity/serve/database/databasetest"
	"propensity/serve/ledger"
)

// childLedger names the ledger that this program, started by a test, adds to until it is
// killed.
const childLedger = "PROPENSITY_TEST_LEDGER"

func TestMain(m *testing.M) {
	if at := os.Getenv(childLedger); at != "" {
		fmt.Fprintln(os.Stderr, addForever(at, os.Getenv("PROPENSITY_TEST_ROUND"), os.Getenv("PROPENSITY_TEST_SYNC") != ""))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// addForever adds scores and outcomes by several callers and says which were acknowledged.
func addForever(at, round string, sync_ bool) error {
	db, err := database.Open(context.Background(), at)
	if err != nil {
		return err
	}
	l := ledger.Open(db, ledger.Options{Sync: sync_, Every: time.Millisecond})
	failed := make(chan error)
	var mu sync.Mutex
	for caller := range 4 {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%s-%d-%d", round, caller, n)
				err := l.Record(score("S"+id, start, "A", 0.5))
				if err == nil {
					_, err = l.AddOutcomes(context.Background(), []ledger.Outcome{outcome(id, "S"+id, start, start, true)})
				}
				if err != nil {
					failed <- err
					return
				}
				mu.Lock()
				fmt.Printf("%s\n", id) // at once: nothing is held back
				mu.Unlock()
			}
		}()
	}
	return <-failed
}

// Of a server that was killed, every outcome that was acknowledged is there, and in Sync
// every score; otherwise those that had been committed are, each of them whole.
func TestLedgerOutlivesAKill(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	databasetest.Each(t, func(t *testing.T, address string) {
		rng := rand.New(rand.NewPCG(5, 6))
		for round := range 4 {
			sync_ := round%2 == 0
			cmd := exec.Command(program)
			cmd.Env = append(os.Environ(), childLedger+"="+address, fmt.Sprintf("PROPENSITY_TEST_ROUND=%d", round))
			if sync_ {
				cmd.Env = append(cmd.Env, "PROPENSITY_TEST_SYNC=1")
			}
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var said []string
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if strings.Count(lines.Text(), "-") != 2 {
					break // cut off by the kill
				}
				if said = append(said, lines.Text()); len(said) == 1 {
					time.AfterFunc(time.Duration(rng.IntN(100))*time.Millisecond, func() { _ = cmd.Process.Kill() })
				}
			}
			_ = cmd.Wait() // killed
			if len(said) == 0 {
				t.Fatal("the child acknowledged nothing")
			}
			said = said[:len(said)-1] // the last line may be a part of one
			l := open(t, address, ledger.Options{})
			kept := map[string]int{}
			last := int64(0)
			err = l.Each(context.Background(), ledger.Query{}, func(list []ledger.Kept) error {
				for _, k := range list {
					kept[k.Account]++
					last = max(last, k.Number)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if int(last) != len(kept) {
				t.Errorf("%d scores are kept, the last has number %d", len(kept), last)
			}
			for _, id := range said {
				if n := kept["S"+id]; n > 1 || n == 0 && sync_ {
					t.Errorf("score %s was acknowledged, and is there %d times (sync %v)", id, n, sync_)
				}
				list, err := l.Outcomes(context.Background(), "S"+id, "")
				if err != nil || len(list) != 1 {
					t.Errorf("outcome %s was acknowledged, and there are %v, %v", id, list, err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d calls were acknowledged, %d scores are kept", len(said), len(kept))
		}
	})
}
