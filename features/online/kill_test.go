package online

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"propensity/features/facts"
)

// childStore names the store that this program, started by a test, adds to until it is
// killed.
const childStore = "PROPENSITY_TEST_STORE"

func TestMain(m *testing.M) {
	if at := os.Getenv(childStore); at != "" {
		fmt.Fprintln(os.Stderr, addForever(at, os.Getenv("PROPENSITY_TEST_ROUND")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// callOf is what one call of Append adds: of two accounts, so that a half would show.
func callOf(round string, caller, n int) []facts.Fact {
	id := fmt.Sprintf("%s-%d-%d", round, caller, n)
	return all(fact("A", id, int64(n), 1, "a"+id), fact("B"+strconv.Itoa(n%7), id, int64(n), 1, "b"+id))
}

// addForever adds facts by several callers and says which were acknowledged.
func addForever(at, round string) error {
	s, err := Open(context.Background(), at)
	if err != nil {
		return err
	}
	failed := make(chan error)
	var mu sync.Mutex
	for caller := range 4 {
		go func() {
			for n := 0; ; n++ {
				if err := s.Append(context.Background(), callOf(round, caller, n)); err != nil {
					failed <- err
					return
				}
				mu.Lock()
				fmt.Printf("%d %d\n", caller, n) // at once: nothing is held back
				mu.Unlock()
			}
		}()
	}
	return <-failed
}

// Whatever was acknowledged before a process was killed is there, and of what was not,
// each call is there as a whole or not at all.
func TestStoreKeepsWhatItAcknowledgedWhenKilled(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for kind, rounds := range map[string]int{"sqlite": 6, "postgres": 4, "redis": 3} {
		t.Run(kind, func(t *testing.T) {
			var at string
			switch kind {
			case "sqlite":
				at = "sqlite:" + t.TempDir() + "/facts.db"
			case "postgres":
				at = postgresOf(t)
			case "redis":
				at = redisOf(t)
			}
			rng := rand.New(rand.NewPCG(5, uint64(len(kind))))
			acknowledged, torn := 0, 0
			for round := range rounds {
				cmd := exec.Command(program)
				cmd.Env = append(os.Environ(), childStore+"="+at, "PROPENSITY_TEST_ROUND="+strconv.Itoa(round))
				cmd.Stderr = os.Stderr
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewScanner(out)
				var said [][2]int
				for lines.Scan() {
					var caller, n int
					if _, err := fmt.Sscanf(lines.Text(), "%d %d", &caller, &n); err != nil {
						break // cut off by the kill
					}
					if said = append(said, [2]int{caller, n}); len(said) == 1 {
						time.AfterFunc(time.Duration(rng.IntN(150))*time.Millisecond, func() { _ = cmd.Process.Kill() })
					}
				}
				_ = cmd.Wait() // killed
				if len(said) == 0 {
					t.Fatal("the child acknowledged nothing")
				}
				acknowledged += len(said)
				s, err := Open(context.Background(), at)
				if err != nil {
					t.Fatal(err)
				}
				have := map[string]string{}
				for _, account := range []string{"A", "B0", "B1", "B2", "B3", "B4", "B5", "B6"} {
					for _, f := range factsIn(t, s, account) {
						have[account[:1]+f.ID] = f.Values["event"].Text
					}
				}
				for _, call := range said {
					for i, f := range callOf(strconv.Itoa(round), call[0], call[1]) {
						if got := have["AB"[i:i+1]+f.ID]; got != f.Values["event"].Text {
							t.Errorf("round %d: %s of account %s was acknowledged, and is %q", round, f.ID, f.Account, got)
						}
					}
				}
				for id := range have {
					if _, whole := have[strings.Replace("AB", id[:1], "", 1)+id[1:]]; !whole {
						torn++
					}
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if torn > 0 {
				t.Errorf("%d calls are there by half", torn)
			}
			t.Logf("%d calls were acknowledged in %d rounds", acknowledged, rounds)
		})
	}
}

// A server that ends the connections of a store while facts are added costs at most
// errors that say so: what was acknowledged is there, and afterwards all is as before.
func TestStoreOutlivesItsConnections(t *testing.T) {
	ctx := context.Background()
	cut := map[string]func(t *testing.T) (at string, cut func() error){
		"postgres": func(t *testing.T) (string, func() error) {
			at := postgresOf(t)
			conn, err := pgx.Connect(ctx, os.Getenv("PROPENSITY_POSTGRES"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close(ctx) })
			return at, func() error {
				_, err := conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%propensity_facts%' AND pid <> pg_backend_pid()`)
				return err
			}
		},
		"redis": func(t *testing.T) (string, func() error) {
			at := redisOf(t)
			options, err := redis.ParseURL(at)
			if err != nil {
				t.Fatal(err)
			}
			client := redis.NewClient(options)
			t.Cleanup(func() { client.Close() })
			return at, func() error { return client.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err() }
		},
	}
	for _, kind := range []string{"postgres", "redis"} {
		t.Run(kind, func(t *testing.T) {
			at, cutAll := cut[kind](t)
			s, err := Open(ctx, at)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var wait sync.WaitGroup
			var mu sync.Mutex
			acknowledged := map[string]bool{}
			for caller := range 3 {
				wait.Go(func() {
					for n := range 150 {
						err := s.Append(ctx, callOf("x", caller, n))
						if err != nil && !errors.Is(err, ErrUnavailable) {
							t.Error(err)
						}
						if err == nil {
							mu.Lock()
							acknowledged[fmt.Sprintf("x-%d-%d", caller, n)] = true
							mu.Unlock()
						}
					}
				})
			}
			for range 5 {
				time.Sleep(10 * time.Millisecond)
				if err := cutAll(); err != nil {
					t.Fatal(err)
				}
			}
			wait.Wait()
			have := map[string]bool{}
			for _, f := range factsIn(t, s, "A") {
				have[f.ID] = true
			}
			for id := range acknowledged {
				if !have[id] {
					t.Errorf("%s was acknowledged, and is not there", id)
				}
			}
			appendTo(t, s, fact("A", "after", 1, 1, "x"))
			t.Logf("%d of 450 calls were acknowledged", len(acknowledged))
		})
	}
}
