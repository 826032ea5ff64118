package online

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"propensity/features/facts"
	"propensity/features/spec"
)

// listOf gives what a list has, up to its error.
func listOf(list iter.Seq2[string, error]) (out []string, err error) {
	for account, err := range list {
		if err != nil {
			return out, err
		}
		out = append(out, account)
	}
	return out, nil
}

// Every account that has facts is in the list once, in the order of bytes, from any place
// on; names of users and merged accounts are not.
func TestStoreListsItsAccounts(t *testing.T) {
	ctx := context.Background()
	p, err := spec.Parse([]byte(bounded))
	if err != nil {
		t.Fatal(err)
	}
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		s := open(t)
		a := NewAccounts(s, 0)
		if got, err := listOf(a.List(ctx, "")); err != nil || len(got) > 0 {
			t.Errorf("an empty store lists %q, %v", got, err)
		}
		rng := rand.New(rand.NewPCG(1, 7))
		want := []string{"\x00", "\x00a", "\x02", " ", "A", "A\x00", "A\x00b", "A ", "Ä", "a", "a\x01", "zz", "\u00ff", "\U0010ffff", strings.Repeat("x", MaxAccountName)}
		for i := range 2*listPage + 300 {
			want = append(want, fmt.Sprintf("A-%x-%d", rng.Uint32(), i))
		}
		slices.Sort(want)
		var list []facts.Fact
		for _, k := range rng.Perm(len(want)) {
			list = append(list, fact(want[k], "1", 10, 20, "x"), fact(want[k], "2", 10, 20, "x"))
		}
		gone := []string{"A", want[listPage], want[len(want)-1], "gone"}
		list = append(list, fact("gone", "1", 10, 20, "x"))
		for k := range 50 { // names between accounts
			list = append(list, fact(userMark+fmt.Sprint(k), "1", 10, 20, "x"), fact(fromMark+fmt.Sprint(k), "1", 10, 20, "x"))
		}
		appendTo(t, s, list...)
		for _, account := range gone {
			if _, err := a.Forget(ctx, p, account); err != nil {
				t.Fatal(err)
			}
		}
		want = slices.DeleteFunc(want, func(account string) bool { return slices.Contains(gone, account) })
		for _, after := range []string{"", "\x00", "\x00a", "\x01", "\x01zz", "\x02", want[0], want[1], "A", "A\x00", want[listPage-1], want[listPage], want[2*listPage+1], "gone", want[len(want)-1], "\xff"} {
			from, found := slices.BinarySearch(want, after)
			if found {
				from++
			}
			got, err := listOf(NewAccounts(open(t), 0).List(ctx, after)) // as another server
			if kindOf(t) == "memory" {
				got, err = listOf(a.List(ctx, after))
			}
			if err != nil || !slices.Equal(got, want[from:]) {
				t.Fatalf("after %q: %d accounts, %v, want %d", after, len(got), err, len(want)-from)
			}
		}
		var some []string
		for account, err := range a.List(ctx, "") {
			if err != nil {
				t.Fatal(err)
			}
			if some = append(some, account); len(some) == 3 {
				break
			}
		}
		if !slices.Equal(some, want[:3]) {
			t.Errorf("the first are %q, want %q", some, want[:3])
		}
		all, err := listOf(s.(listed).accounts(ctx, "", ""))
		if err != nil || len(all) != len(want)+100 || !slices.IsSorted(all) {
			t.Errorf("with the names between, %d are listed, %v, want %d", len(all), err, len(want)+100)
		}
		stopped, stop := context.WithCancel(ctx)
		stop()
		if _, err := listOf(a.List(stopped, "")); !errors.Is(err, context.Canceled) {
			t.Errorf("a list that is not wanted any more: %v", err)
		}
	})
}

// Accounts that come and go while they are listed hide no other.
func TestStoreListsWhileFactsCome(t *testing.T) {
	ctx := context.Background()
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		s := open(t)
		var want []string
		var list []facts.Fact
		for i := range listPage + 200 {
			want = append(want, fmt.Sprintf("B-%05d", i))
			list = append(list, fact(want[i], "1", 10, 20, "x"))
		}
		appendTo(t, s, list...)
		i := 0
		var got []string
		for account, err := range NewAccounts(s, 0).List(ctx, "") {
			if err != nil {
				t.Fatal(err)
			}
			if i++; i%100 == 1 {
				appendTo(t, s, fact(fmt.Sprintf("A-%d", i), "1", 10, 20, "x"), fact(account+"-later", "1", 10, 20, "x"))
			}
			if len(account) == len(want[0]) {
				got = append(got, account)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d accounts are listed, want %d", len(got), len(want))
		}
	})
}

// A list that Redis has lost half way is no shorter list, and none is left behind.
func TestRedisSaysThatAListIsLost(t *testing.T) {
	ctx := context.Background()
	at := redisOf(t)
	s, err := Open(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	options, err := redis.ParseURL(at)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	var list []facts.Fact
	for i := range listPage + 200 {
		list = append(list, fact(fmt.Sprint(i), "1", 10, 20, "x"))
	}
	appendTo(t, s, list...)
	lists := func() []string {
		keys, err := client.Keys(ctx, redisList+"*").Result()
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	n := 0
	for _, err = range NewAccounts(s, 0).List(ctx, "") {
		if n++; n == 1 {
			keys := lists()
			if len(keys) != 1 {
				t.Fatalf("lists: %q", keys)
			}
			if ttl := client.TTL(ctx, keys[0]).Val(); ttl <= 0 || ttl > redisListLife {
				t.Errorf("the list lives for %v", ttl)
			}
			if err := client.Del(ctx, keys[0]).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !errors.Is(err, ErrUnavailable) || n != listPage+1 {
		t.Errorf("after %d: %v", n, err)
	}
	for range NewAccounts(s, 0).List(ctx, "") {
		break
	}
	if keys := lists(); len(keys) > 0 {
		t.Errorf("lists are left: %q", keys)
	}
}
