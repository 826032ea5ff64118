package stream_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/models/stream"
)

// scoresOf is a table as a run writes it.
func scoresOf(accounts []string, probabilities []float64, bands []string) *datasets.Table {
	account, band := datasets.Column{Name: "account", Kind: datasets.Text, Codes: []int32{}}, datasets.Column{Name: "band", Kind: datasets.Category, Codes: []int32{}}
	for i := range accounts {
		account.Codes, account.Values = append(account.Codes, int32(i)), append(account.Values, accounts[i])
		band.Codes, band.Values = append(band.Codes, int32(i)), append(band.Values, bands[i])
	}
	return &datasets.Table{Columns: []datasets.Column{account, {Name: "probability", Kind: datasets.Number, Numbers: probabilities}, band}}
}

// lastOf writes a run's file and reads it as the last one.
func lastOf(t *testing.T, scores *datasets.Table) *stream.Last {
	t.Helper()
	path := filepath.Join(t.TempDir(), "last.csv")
	if err := datasets.Write(path, scores, datasets.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	last, err := stream.ReadLast(path, datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// passed is a Sink that keeps the accounts it is given.
type passed []string

func (k *passed) Write(t *datasets.Table) error {
	for i := range t.Rows() {
		*k = append(*k, t.Column("account").At(i).Text)
	}
	return nil
}

func TestChangesByHand(t *testing.T) {
	last := lastOf(t, scoresOf([]string{"001", "2", "3", "4", "5", "gone"}, []float64{.9, .5, .2, .5, .1, .5}, []string{"A", "B", "C", "B", "C", "B"}))
	now := scoresOf([]string{"001", "2", "3", "4", "5", "1"}, []float64{.5, .51, .95, .56, .1, .5}, []string{"B", "B", "A", "B", "C", "B"})
	var out passed
	c := stream.NewChanges(last, []string{"A", "B", "C"}, .05, &out)
	if err := c.Write(now); err != nil {
		t.Fatal(err)
	}
	want := &stream.Comparison{Rows: 6, New: 1, Gone: 1, Up: 1, Down: 1, Same: 3, Chosen: 4, Before: 2.2 / 5, After: 2.62 / 5,
		Moves: []stream.Move{{From: "A", To: "B", Accounts: 1}, {From: "C", To: "A", Accounts: 1}}}
	near := cmp.Comparer(func(x, y float64) bool { return math.Abs(x-y) < 1e-12 })
	if diff := cmp.Diff(want, c.Comparison(), near); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
	if diff := cmp.Diff(passed{"001", "3", "4", "1"}, out); diff != "" { // "1" is another account than "001"
		t.Errorf("changed: want -, got +\n%s", diff)
	}
	for _, l := range []struct {
		limits stream.Limits
		ok     bool
	}{{stream.Limits{Changed: .4, Shift: .085}, true}, {stream.Limits{Changed: .39, Shift: 1}, false}, {stream.Limits{Changed: 1, Shift: .08}, false}} {
		if err := c.Comparison().Check(l.limits); (err == nil) != l.ok || err != nil && !errors.Is(err, stream.ErrJump) {
			t.Errorf("%+v: %v", l.limits, err)
		}
	}
}

// Every account is in exactly one place, whatever the batches.
func TestChangesAddUp(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		run := func(name string) (map[string]float64, *datasets.Table) {
			of := map[string]float64{}
			for _, a := range rapid.SliceOfDistinct(rapid.IntRange(0, 30), rapid.ID).Draw(t, name) {
				of[fmt.Sprint("A-", a)] = float64(rapid.IntRange(0, 10).Draw(t, name+"p")) / 10
			}
			var accounts, bands []string
			var ps []float64
			for a := range 31 {
				if p, ok := of[fmt.Sprint("A-", a)]; ok {
					accounts, ps, bands = append(accounts, fmt.Sprint("A-", a)), append(ps, p), append(bands, bandOf(p))
				}
			}
			return of, scoresOf(accounts, ps, bands)
		}
		was, before := run("was")
		is, after := run("is")
		path := filepath.Join(dir, "last.csv")
		if err := datasets.Write(path, before, datasets.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		last, err := stream.ReadLast(path, datasets.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var out passed
		c := stream.NewChanges(last, []string{"A", "B", "C"}, 0, &out)
		for i := range after.Rows() {
			if err := c.Write(after.Take([]int{i})); err != nil {
				t.Fatal(err)
			}
		}
		want := stream.Comparison{Rows: len(is)}
		for a, p := range is {
			from, known := was[a]
			switch {
			case !known:
				want.New++
			case bandOf(from) == bandOf(p):
				want.Same++
			case p > from:
				want.Up++
			default:
				want.Down++
			}
		}
		for a := range was {
			if _, ok := is[a]; !ok {
				want.Gone++
			}
		}
		want.Chosen = want.New + want.Up + want.Down
		got := c.Comparison()
		moved := 0
		for _, m := range got.Moves {
			moved += m.Accounts
		}
		if got.Rows != want.Rows || got.New != want.New || got.Gone != want.Gone || got.Up != want.Up || got.Down != want.Down || got.Same != want.Same || got.Chosen != want.Chosen ||
			len(out) != want.Chosen || moved != want.Up+want.Down {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func bandOf(p float64) string {
	switch {
	case p >= .7:
		return "A"
	case p >= .3:
		return "B"
	}
	return "C"
}

func TestReadLastRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"twice":       "account,probability,band\na,0.5,A\na,0.5,A\n",
		"no band":     "account,probability\na,0.5\n",
		"no account":  "account,probability,band\n,0.5,A\n",
		"probability": "account,probability,band\na,1.5,A\n",
	} {
		path := filepath.Join(t.TempDir(), "last.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.ReadLast(path, datasets.ReadOptions{}); !errors.Is(err, stream.ErrLast) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLast(f *testing.F) {
	f.Add("account,probability,band\na,0.5,A\nb,1,B\n")
	f.Add("account,probability,band\n\"a\nb\",0.5,\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "last.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		last, err := stream.ReadLast(path, datasets.ReadOptions{})
		if err != nil {
			return
		}
		// What was read is what is there: compared with itself nothing has changed.
		in, err := datasets.Read(path, datasets.ReadOptions{Kinds: map[string]datasets.Kind{"account": datasets.Text, "probability": datasets.Number, "band": datasets.Text}})
		if err != nil {
			t.Fatal(err)
		}
		c := stream.NewChanges(last, []string{"A", "B"}, 0, nil)
		if err := c.Write(in); err != nil {
			t.Fatal(err)
		}
		if got := c.Comparison(); got.Same != in.Rows() || got.Gone != 0 || got.Chosen != 0 {
			t.Fatalf("%q against itself: %+v", text, got)
		}
	})
}

func crmTable(n int) *datasets.Table {
	var accounts, bands []string
	var ps []float64
	for i := range n {
		accounts, ps, bands = append(accounts, fmt.Sprintf("00%d,\"x\"", i)), append(ps, float64(i%1000)/3000), append(bands, "A")
	}
	t := scoresOf(accounts, ps, bands)
	reason := datasets.Column{Kind: datasets.Text, Codes: make([]int32, n), Values: []string{strings.Repeat("é, ", 100)}}
	first, second := reason, reason
	first.Name, second.Name = "reason_1", "reason_2"
	at := datasets.Column{Name: "as_of", Kind: datasets.Time, Times: make([]int64, n)}
	warnings := datasets.Column{Name: "warnings", Kind: datasets.Text, Codes: make([]int32, n)}
	for i := range n {
		warnings.Codes[i] = -1
	}
	t.Columns = append(t.Columns, first, second, at, warnings)
	return t
}

func TestHubSpotRequests(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	w, err := stream.NewCRMFiles(dir, &stream.CRM{Kind: "hubspot", ID: "account_key", Fields: []stream.CRMField{{From: "probability", To: "churn"}, {From: "reasons", To: "why"}, {From: "warnings", To: "warnings"}}})
	if err != nil {
		t.Fatal(err)
	}
	in := crmTable(250)
	for i := range 5 {
		rows := make([]int, 50)
		for j := range rows {
			rows[j] = i*50 + j
		}
		if err := w.Write(in.Take(rows)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it is there before it is whole")
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "scores-0001.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	row := 0
	for line := range strings.Lines(string(text)) {
		var request struct {
			Inputs []struct {
				ID         string
				IDProperty string
				Properties struct {
					Churn    float64
					Why      string
					Warnings *string
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &request); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(request.Inputs))
		for _, in := range request.Inputs {
			p := in.Properties
			if in.ID != fmt.Sprintf("00%d,\"x\"", row) || in.IDProperty != "account_key" || math.Abs(p.Churn-float64(row%1000)/3000) > 1e-6 ||
				len([]rune(p.Why)) > 255 || !strings.HasSuffix(p.Why, "...") || p.Warnings == nil || *p.Warnings != "" {
				t.Fatalf("row %d: %+v", row, in)
			}
			row++
		}
	}
	if diff := cmp.Diff([]int{100, 100, 50}, sizes); diff != "" {
		t.Errorf("inputs a request: %s", diff)
	}
}

func TestCRMRefuses(t *testing.T) {
	field := []stream.CRMField{{From: "score", To: "Score__c"}}
	for _, c := range []stream.CRM{
		{Kind: "zoho", ID: "id", Fields: field}, {Kind: "hubspot", Fields: field}, {Kind: "hubspot", ID: "id"},
		{Kind: "salesforce", ID: "Score__c", Fields: field}, {Kind: "salesforce", ID: "id", Fields: []stream.CRMField{{From: "points", To: "P"}}},
	} {
		if _, err := stream.NewCRMFiles(filepath.Join(t.TempDir(), "x"), &c); !errors.Is(err, stream.ErrCRM) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := stream.NewCRMFiles(t.TempDir(), &stream.CRM{Kind: "salesforce", ID: "id", Fields: field}); err == nil {
		t.Error("the files of another run are overwritten")
	}
}
