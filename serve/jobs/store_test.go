package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/models"
)

// The store of the tests has so many accounts, of which so many have a row. Between them,
// others come that have none.
const (
	storeAll     = 12_000
	storeRowsAll = 7_400
	storePage    = 300
)

type testStore struct {
	ids  []string
	none map[string]bool // came too late
	next int
	fail int // as many pages are given; 0: all
}

func openStore(_ context.Context, _ *Spec, _ *models.Scorer, after string) (Accounts, error) {
	s := &testStore{none: map[string]bool{}}
	for i := range storeAll {
		s.ids = append(s.ids, fmt.Sprintf("A-%06d", i))
	}
	late := time.Now().UnixNano() // others each time
	for i := range int64(500) {
		id := fmt.Sprintf("A-%06d-%d", (late+7919*i)%storeAll, i)
		s.ids, s.none[id] = append(s.ids, id), true
	}
	slices.Sort(s.ids)
	s.next, _ = slices.BinarySearch(s.ids, after+"\x00")
	return s, nil
}

func (s *testStore) Columns() []string { return []string{"id", "logins"} }
func (s *testStore) Close()            {}

func (s *testStore) Next() (*Page, error) {
	if s.next == len(s.ids) {
		return nil, io.EOF
	}
	if s.fail--; s.fail == 0 {
		return nil, errors.New("the store is away")
	}
	p := &Page{}
	var ids, logins []datasets.Value
	for ; s.next < len(s.ids) && len(ids) < storePage; s.next++ {
		p.Last = s.ids[s.next]
		i, err := strconv.Atoi(p.Last[2:8])
		if err != nil {
			return nil, err
		}
		switch {
		case s.none[p.Last]:
			p.Skipped.Unknown++
		case i%3 == 2 || i >= storeAll-900: // and all of the last ones
			p.Skipped.Outside++
		default:
			ids, logins = append(ids, datasets.Value{Kind: datasets.Text, Text: p.Last}), append(logins, datasets.Value{Kind: datasets.Number, Number: float64(i % 60)})
		}
	}
	p.Rows = &datasets.Table{Columns: []datasets.Column{datasets.ColumnOf("id", datasets.Text, ids), datasets.ColumnOf("logins", datasets.Number, logins)}}
	return p, nil
}

// A job of the store is that of a table of its rows, tells of the rows, and of those
// without one.
func TestJobOfTheStoreIsThatOfItsTable(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	told, wrong := 0, 0
	c.Given = func(_ context.Context, j *Job, scores *datasets.Table) error {
		row := scores.Column(RowPrefix + "logins")
		if (row != nil) != (j.Spec.From != "") {
			return errors.New("the rows of a table are told, or those of the store are not")
		}
		for i := range scores.Rows() {
			if row == nil {
				continue
			}
			n := 0
			if _, err := fmt.Sscanf(scores.Column("account").At(i).Text, "A-%d", &n); err != nil {
				return err
			}
			if told++; row.At(i).Number != float64(n%60) {
				wrong++
			}
		}
		return nil
	}
	r := start(t, c)
	j := ended(t, r, add(t, r, Spec{From: FromStore, Out: "store.csv", Reasons: 1}))
	if j.State != Done || j.Skipped == nil || j.Rows != storeRowsAll || j.Skipped.Outside != storeAll-storeRowsAll || j.Skipped.Unknown != 500 || told != j.Rows || wrong > 0 {
		t.Fatalf("%+v, skipped %+v, told of %d, wrongly of %d", j, j.Skipped, told, wrong)
	}
	s, err := openStore(t.Context(), nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	out, err := datasets.Create(filepath.Join(dir, "in.csv"), datasets.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err := errors.Join(err, out.Write(p.Rows)); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Commit(); err != nil {
		t.Fatal(err)
	}
	if j := ended(t, r, add(t, r, Spec{In: "in.csv", Out: "out.csv", Reasons: 1})); j.State != Done || j.Skipped != nil {
		t.Fatalf("%+v", j)
	}
	if got := read(t, filepath.Join(dir, "store.csv")); got != read(t, filepath.Join(dir, "out.csv")) || strings.Contains(got, RowPrefix) {
		t.Error("it is not what a table gives")
	}
	j = ended(t, r, add(t, r, Spec{From: FromStore, Last: "store.csv", DryRun: true}))
	if j.State != Done || j.Changes == nil || j.Changes.Same != j.Rows {
		t.Errorf("%+v", j)
	}
}

// brokenStore does not answer after so many pages.
type brokenStore struct {
	Accounts
	left int
}

func (s *brokenStore) Next() (*Page, error) {
	if s.left--; s.left < 0 {
		return nil, fmt.Errorf("gone (%w)", ErrAway)
	}
	return s.Accounts.Next()
}

// A job of a store that does not answer waits, says why, and goes on from its last piece,
// to the same bytes; it fails once nothing was scored for long.
func TestJobOfAStoreThatComesBack(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	c.firstRetry, c.patience = time.Millisecond, time.Hour
	opened, back := 0, make(chan bool)
	c.Accounts = func(ctx context.Context, s *Spec, scorer *models.Scorer, after string) (Accounts, error) {
		in, err := openStore(ctx, s, scorer, after)
		if s.Out != "broken.csv" {
			return in, err
		}
		switch opened++; opened {
		case 1: // a piece has 4 pages here
			return &brokenStore{in, 6}, err
		case 2:
			return &brokenStore{in, 1}, err
		}
		<-back // it is looked at
		<-back
		return in, err
	}
	r := start(t, c)
	ended(t, r, add(t, r, Spec{From: FromStore, Out: "whole.csv"}))
	id := add(t, r, Spec{From: FromStore, Out: "broken.csv"})
	back <- true
	if j, err := r.Get(id); err != nil || j.State != Running || j.Cause != "gone (tried again for an hour)" || j.Rows != 4*storePage {
		t.Errorf("waits: %+v, %v", j, err)
	}
	back <- true
	j := ended(t, r, id)
	if j.State != Done || j.Cause != "" || j.Rows != storeRowsAll || opened != 3 {
		t.Errorf("opened %d times: %+v", opened, j)
	}
	if read(t, filepath.Join(dir, "broken.csv")) != read(t, filepath.Join(dir, "whole.csv")) {
		t.Error("it is not what a store gives that always answers")
	}
	impatient := testConfig(t.TempDir())
	impatient.firstRetry, impatient.patience = time.Millisecond, 20*time.Millisecond
	tries := 0
	impatient.Accounts = func(context.Context, *Spec, *models.Scorer, string) (Accounts, error) {
		tries++
		return &brokenStore{&testStore{}, 0}, nil
	}
	r = start(t, impatient)
	if j := ended(t, r, add(t, r, Spec{From: FromStore, Out: "never.csv"})); j.State != Failed || j.Cause != "gone (tried again for an hour)" || tries < 2 {
		t.Errorf("tried %d times: %+v", tries, j)
	}
}

// An error of a store ends a job with the reason; one without accounts gives the
// columns alone; and where there is none, no job is of it.
func TestJobOfAStoreThatHasNothing(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	c.Accounts = func(_ context.Context, s *Spec, _ *models.Scorer, _ string) (Accounts, error) {
		if s.Out == "empty.csv" {
			return &testStore{}, nil
		}
		return &testStore{ids: []string{"A-000001", "A-000003"}, fail: 1}, nil
	}
	r := start(t, c)
	empty, away := add(t, r, Spec{From: FromStore, Out: "empty.csv"}), add(t, r, Spec{From: FromStore, Out: "away.csv"})
	if j := ended(t, r, empty); j.State != Done || j.Rows != 0 || *j.Skipped != (Skipped{}) || strings.Count(read(t, filepath.Join(dir, "empty.csv")), "\n") != 1 {
		t.Errorf("%+v", j)
	}
	if j := ended(t, r, away); j.State != Failed || j.Cause != "the store is away" {
		t.Errorf("%+v", j)
	}
	none := testConfig(dir)
	none.Accounts = nil
	other, err := Open(none)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Add("", Spec{From: FromStore, Out: "o.csv"}); !errors.Is(err, ErrSpec) {
		t.Error(err)
	}
}
