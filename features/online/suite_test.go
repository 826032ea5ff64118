package online

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/features/facts"
)

// eachStore runs a test on every kind of store that this machine has. Open gives the
// store of the test, the same one at every call but in memory.
func eachStore(t *testing.T, test func(t *testing.T, open func(t testing.TB) Store)) {
	for _, kind := range []string{"memory", "sqlite", "postgres", "redis"} {
		t.Run(kind, func(t *testing.T) { test(t, storeOf(t, kind)) })
	}
}

// storeOf gives a way to open an empty store of a kind.
func storeOf(t testing.TB, kind string) func(t testing.TB) Store {
	t.Helper()
	at := "memory:"
	switch kind {
	case "sqlite":
		at = "sqlite:" + filepath.Join(t.TempDir(), "facts of test ?#.db")
	case "postgres":
		at = postgresOf(t)
	case "redis":
		at = redisOf(t)
	}
	return func(t testing.TB) Store {
		t.Helper()
		s, err := Open(context.Background(), at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
}

// postgresOf gives the address of a schema of its own.
func postgresOf(t testing.TB) string {
	t.Helper()
	server := os.Getenv("PROPENSITY_POSTGRES")
	if server == "" {
		t.Skip("PROPENSITY_POSTGRES names no PostgreSQL server")
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	schema := fmt.Sprintf("online_%d_%d", os.Getpid(), time.Now().UnixNano())
	if _, err := conn.Exec(ctx, `CREATE SCHEMA `+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := conn.Exec(ctx, `DROP SCHEMA `+schema+` CASCADE`); err != nil {
			t.Error(err)
		}
		conn.Close(ctx)
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// redisOf gives the address of a database that no other test uses at the moment, empty.
func redisOf(t testing.TB) string {
	t.Helper()
	server := os.Getenv("PROPENSITY_REDIS")
	if server == "" {
		t.Skip("PROPENSITY_REDIS names no Redis server")
	}
	options, err := redis.ParseURL(server)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for db := 1; db < 16; db++ {
		options.DB = db
		client := redis.NewClient(options)
		taken, err := client.SetNX(ctx, "taken", 1, time.Hour).Result()
		if err != nil {
			t.Fatal(err)
		}
		if !taken {
			client.Close()
			continue
		}
		t.Cleanup(func() {
			if err := client.FlushDB(ctx).Err(); err != nil {
				t.Error(err)
			}
			client.Close()
		})
		u, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/" + strconv.Itoa(db)
		return u.String()
	}
	t.Fatal("all databases of the Redis server are taken: empty them with FLUSHALL")
	return ""
}

// fact is one of source events with one value.
func fact(account, id string, occurred, arrived int64, value string) facts.Fact {
	return facts.Fact{
		Source: "events", Account: account, ID: id, Occurred: occurred, Arrived: arrived, End: datasets.MissingTime,
		Values: map[string]datasets.Value{"event": {Kind: datasets.Category, Text: value}},
	}
}

// reporter is a test, also one of rapid.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

func appendTo(t reporter, s Store, list ...facts.Fact) {
	t.Helper()
	if err := s.Append(context.Background(), list); err != nil {
		t.Fatal(err)
	}
}

func factsIn(t reporter, s Store, account string) []facts.Fact {
	t.Helper()
	list, err := s.Facts(context.Background(), account, nil)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func versionOf(t reporter, s Store, account string) uint64 {
	t.Helper()
	v, err := s.(versioned).versions(context.Background(), []string{account})
	if err != nil {
		t.Fatal(err)
	}
	return v[0]
}

func wantFacts(t reporter, s Store, account string, want ...facts.Fact) {
	t.Helper()
	if got := factsIn(t, s, account); !(len(got) == 0 && len(want) == 0) && !reflect.DeepEqual(got, want) {
		t.Errorf("account %s has\n%v, want\n%v", account, got, want)
	}
}

func TestStoreGivesBackEveryValue(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		s := open(t)
		all := facts.Fact{
			Source: "sub\"s; é", Account: "Ä-17 \x01\x7f", ID: "x\x00y 'z'", Occurred: math.MinInt64 + 5, Arrived: math.MaxInt64 - 1, End: -62135596800000000,
			Values: map[string]datasets.Value{
				"whole": {Kind: datasets.Number, Number: 3}, "tiny": {Kind: datasets.Number, Number: 5e-324},
				"inf": {Kind: datasets.Number, Number: math.Inf(-1)}, "zero": {Kind: datasets.Number, Number: math.Copysign(0, -1)},
				"no": {Kind: datasets.Boolean}, "yes": {Kind: datasets.Boolean, Number: 1}, "when": {Kind: datasets.Time, Time: -1},
				"plan": {Kind: datasets.Category, Text: "pro"}, "note": {Kind: datasets.Text, Text: "a\x00b\n"}, "empty": {Kind: datasets.Category},
				"nan": {Kind: datasets.Number, Number: math.NaN()}, "missing": {}, "": {Kind: datasets.Number, Number: 1},
			},
		}
		bare := facts.Fact{Source: "b", Account: all.Account, ID: "1", Occurred: 7, Arrived: 8, End: datasets.MissingTime}
		appendTo(t, s, all, bare)
		want := all
		want.Values = map[string]datasets.Value{}
		for name, v := range all.Values {
			if name != "nan" && name != "missing" {
				want.Values[name] = v
			}
		}
		want.Values["zero"] = datasets.Value{Kind: datasets.Number}
		wantFacts(t, s, all.Account, bare, want)
		wantFacts(t, s, "Ä-17")
	})
}

func TestStoreIsTheSameAfterTheSecondTime(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		s := open(t)
		a, b, c := fact("A", "1", 10, 20, "x"), fact("A", "2", 10, 20, "x"), fact("B", "1", 10, 20, "x")
		appendTo(t, s, b, a, c, a)
		before := versionOf(t, s, "A")
		appendTo(t, s, a, b, c)
		appendTo(t, s)
		if after := versionOf(t, s, "A"); kindOf(t) != "postgres" && after != before {
			t.Errorf("version %d of an account that has not changed, before %d", after, before)
		}
		wantFacts(t, s, "A", a, b)
		wantFacts(t, s, "B", c)
	})
}

func kindOf(t testing.TB) string {
	parts := strings.Split(t.Name(), "/")
	return parts[len(parts)-1]
}

func TestStoreKeepsEveryVersion(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		s := open(t)
		first, second, third := fact("A", "1", 10, 20, "x"), fact("A", "1", 11, 30, "y"), fact("A", "1", 10, 40, "x")
		appendTo(t, s, third)
		before := versionOf(t, s, "A")
		appendTo(t, s, first, second)
		if after := versionOf(t, s, "A"); after == before {
			t.Errorf("version %d of an account that has changed", after)
		}
		wantFacts(t, s, "A", first, second, third)
	})
}

// What arrives now is no further version if it says what the newest says.
func TestStoreLetsTheFirstArrivalStand(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		s := open(t)
		now := func(value string) facts.Fact { return fact("A", "1", 10, datasets.MissingTime, value) }
		from := time.Now().UnixMicro()
		appendTo(t, s, now("x"))
		appendTo(t, s, now("x"))
		appendTo(t, s, now("x"), now("y"), now("y"), now("x"))
		appendTo(t, s, now("x"))
		list := factsIn(t, s, "A")
		if len(list) != 3 {
			t.Fatalf("there are %d versions, want x, y, x: %v", len(list), list)
		}
		last := from - 1
		for i, f := range list {
			if want := string("xyx"[i]); f.Values["event"].Text != want || f.Arrived <= last || f.Arrived > time.Now().UnixMicro()+3 {
				t.Errorf("version %d says %v, arrived at %d, want %s, after %d", i, f.Values, f.Arrived, want, last)
			}
			last = f.Arrived
		}
		// One is dated ahead, as by another server whose clock is.
		ahead := time.Now().Add(time.Hour).UnixMicro()
		appendTo(t, s, fact("A", "1", 10, ahead, "z"))
		appendTo(t, s, now("z"))
		appendTo(t, s, now("w"))
		list = factsIn(t, s, "A")
		if len(list) != 5 || list[4].Arrived != ahead+1 || list[4].Values["event"].Text != "w" {
			t.Errorf("what comes after a version that is dated ahead is %v, want w one microsecond later", list[3:])
		}
	})
}

func TestStoreAddsAllOrNothing(t *testing.T) {
	bad := map[string]func(f *facts.Fact){
		"no account":   func(f *facts.Fact) { f.Account = "" },
		"no id":        func(f *facts.Fact) { f.ID = "" },
		"no source":    func(f *facts.Fact) { f.Source = "" },
		"zero byte":    func(f *facts.Fact) { f.Source = "a\x00" },
		"long account": func(f *facts.Fact) { f.Account = strings.Repeat("a", MaxAccount+1) },
		"long id":      func(f *facts.Fact) { f.ID = strings.Repeat("a", MaxID+1) },
		"no kind":      func(f *facts.Fact) { f.Values = map[string]datasets.Value{"x": {Kind: 9}} },
		"never":        func(f *facts.Fact) { f.Arrived = facts.Never },
		"large": func(f *facts.Fact) {
			f.Values["x"] = datasets.Value{Kind: datasets.Text, Text: strings.Repeat("a", MaxContent)}
		},
	}
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		s := open(t)
		for what, spoil := range bad {
			f := fact("A", "2", 10, 20, "x")
			spoil(&f)
			err := s.Append(context.Background(), []facts.Fact{fact("A", "1", 10, 20, "x"), f, fact("A", "3", 10, 20, "x")})
			if !errors.Is(err, ErrFact) {
				t.Errorf("%s: error %v, want %v", what, err, ErrFact)
			}
		}
		wantFacts(t, s, "A")
		long := fact(strings.Repeat("é", MaxAccount/2), strings.Repeat("i", MaxID), 10, 20, strings.Repeat("v", MaxContent-100))
		appendTo(t, s, long)
		wantFacts(t, s, long.Account, long)
	})
}

func TestStoreGivesFactsOfWhichAVersionIsAskedFor(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		s := open(t)
		old, young := fact("A", "1", 10, 20, "x"), fact("A", "2", 50, 60, "x")
		was, is := fact("A", "3", 50, 60, "x"), fact("A", "3", 10, 70, "x") // corrected to an earlier date
		ended := fact("A", "4", 10, 20, "x")
		ended.End = 55
		appendTo(t, s, old, young, was, is, ended)
		got, err := s.Facts(context.Background(), "A", func(source string, occurred, end int64) bool { return source == "events" && max(occurred, end) >= 50 })
		if want := []facts.Fact{young, was, is, ended}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	})
}

// twin is the obvious store.
type twin []facts.Fact

func (w *twin) add(f facts.Fact) {
	if !slices.ContainsFunc(*w, func(g facts.Fact) bool { return reflect.DeepEqual(f, g) }) {
		*w = append(*w, f)
	}
}

func (w twin) facts(account string) (out []facts.Fact) {
	for _, f := range w {
		if f.Account == account {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b facts.Fact) int {
		text := func(f facts.Fact) string {
			return fmt.Sprintf("%s|%s|%03d|%d|%s", f.Source, f.ID, f.Arrived, f.Occurred, f.Values["event"].Text)
		}
		return strings.Compare(text(a), text(b))
	})
	return out
}

func TestStoreIsAsTheObviousOne(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		one, other := open(t), open(t)
		if kindOf(t) == "memory" {
			other = one
		}
		cases := 0
		rapid.Check(t, func(t *rapid.T) {
			cases++
			var want twin
			seen := map[string]uint64{}
			for range rapid.IntRange(1, 12).Draw(t, "calls") {
				call := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) facts.Fact {
					f := fact(fmt.Sprintf("%d-%s", cases, rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "account")),
						rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "id"), rapid.Int64Range(10, 13).Draw(t, "occurred"),
						rapid.Int64Range(100, 104).Draw(t, "arrived"), rapid.SampledFrom([]string{"x", "y"}).Draw(t, "value"))
					f.Source = rapid.SampledFrom([]string{"events", "tickets"}).Draw(t, "source")
					return f
				}), 0, 6).Draw(t, "facts")
				before := len(want)
				for _, f := range call {
					want.add(f)
				}
				s := []Store{one, other}[rapid.IntRange(0, 1).Draw(t, "server")]
				if err := s.Append(context.Background(), call); err != nil {
					t.Fatal(err)
				}
				for _, account := range []string{"A", "B", "C"} {
					account = fmt.Sprintf("%d-%s", cases, account)
					version := versionOf(t, one, account)
					if changed := slices.ContainsFunc(want[before:], func(f facts.Fact) bool { return f.Account == account }); changed && version == seen[account] {
						t.Fatalf("account %s has changed, and its version is still %d", account, version)
					}
					seen[account] = version
				}
			}
			for _, account := range []string{"A", "B", "C"} {
				account = fmt.Sprintf("%d-%s", cases, account)
				wantFacts(t, one, account, want.facts(account)...)
				wantFacts(t, other, account, want.facts(account)...)
			}
		})
	})
}

// Two servers and several callers add the same facts at the same time.
func TestStoreTakesManyAtOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		stores := []Store{open(t), open(t)}
		if kindOf(t) == "memory" {
			stores[1] = stores[0]
		}
		const callers, facts = 6, 60
		var wait sync.WaitGroup
		for caller := range callers {
			wait.Go(func() {
				for i := range facts {
					n := (i*7 + caller*13) % facts // each in an order of its own
					a, b := strconv.Itoa(n%5), strconv.Itoa(n%7)
					s := stores[caller%2]
					if err := s.Append(context.Background(), all(fact(b, strconv.Itoa(n), 1, 2, "x"), fact(a, "of "+strconv.Itoa(n), 1, 2, "x"))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		total := 0
		for account := range 7 {
			got := factsIn(t, stores[0], strconv.Itoa(account))
			total += len(got)
			if !reflect.DeepEqual(got, factsIn(t, stores[1], strconv.Itoa(account))) {
				t.Errorf("account %d is not the same at both", account)
			}
		}
		if total != 2*facts {
			t.Errorf("there are %d facts, want %d", total, 2*facts)
		}
	})
}

func all(f ...facts.Fact) []facts.Fact { return f }

func TestStoreOutlivesItsClosing(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		if kindOf(t) == "memory" {
			return // which ends with the process
		}
		f := fact("A", "1", 10, 20, "x")
		s := open(t)
		appendTo(t, s, f)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Append(context.Background(), all(f)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a closed store: %v, want %v", err, ErrUnavailable)
		}
		wantFacts(t, open(t), "A", f)
	})
}

func TestStoreHeedsItsContext(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		s := open(t)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Append(ctx, all(fact("A", "1", 10, 20, "x"))); !errors.Is(err, context.Canceled) {
			t.Errorf("Append: %v", err)
		}
		if _, err := s.Facts(ctx, "A", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("Facts: %v", err)
		}
		wantFacts(t, s, "A")
	})
}

func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	for _, at := range []string{"", "facts.db", "memory:x", "sqlite:", "mysql://u:secret@h/d", "postgres://u:secret@h:port/d", "redis://u:secret@h/x"} {
		s, err := Open(context.Background(), at)
		if !errors.Is(err, ErrURL) || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%q: %v, %v", at, s, err)
		}
	}
	path := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 200)), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(context.Background(), "sqlite:"+path); err == nil {
		t.Errorf("a text file was opened: %v", s)
	}
}
