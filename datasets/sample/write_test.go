package sample

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
)

func TestWrite(t *testing.T) {
	c := Simulate(Options{Accounts: 200, Seed: 2})
	dir := filepath.Join(t.TempDir(), "new", "place")
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range c.tables() {
		name, want := f.name, f.table
		if want.Rows() == 0 {
			continue
		}
		got, err := datasets.Read(filepath.Join(dir, name), datasets.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Names(), want.Names()) || got.Rows() != want.Rows() {
			t.Fatalf("%s has %d rows of %v, want %d of %v", name, got.Rows(), got.Names(), want.Rows(), want.Names())
		}
		for k := range want.Columns {
			a, b := &got.Columns[k], &want.Columns[k]
			if a.Kind != b.Kind && b.Kind != datasets.Text { // CSV cannot tell ids from categories
				t.Errorf("%s: %s is read as %s, not %s", name, a.Name, a.Kind, b.Kind)
			}
			for i := range want.Rows() {
				if x, y := a.At(i), b.At(i); x.String() != y.String() || x.Missing() != y.Missing() {
					t.Fatalf("%s, row %d: %s is read as %v, not %v", name, i, a.Name, x, y)
				}
			}
		}
	}
	var laws Laws
	truth, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err := errors.Join(err, json.Unmarshal(truth, &laws)); err != nil || !reflect.DeepEqual(laws, c.Laws()) {
		t.Errorf("%v: truth.json says %+v", err, laws)
	}
	text, err := os.ReadFile(filepath.Join(dir, "README.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "A simulated company") {
		t.Errorf("the README does not begin by saying that all is simulated:\n%s", text)
	}
}

// TestExport: whatever the number of threads, Export and Write give the same raw files,
// whose events are those in memory; and page views make up the number asked for.
func TestExport(t *testing.T) {
	o := Options{Accounts: 300, Seed: 6, Events: 90_000}
	one, two := t.TempDir(), t.TempDir()
	n, err := Export(o, one)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(float64(n-o.Events)) > 0.03*float64(o.Events) {
		t.Errorf("%d events, asked for %d", n, o.Events)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	c := Simulate(o)
	if err := c.Write(two); err != nil {
		t.Fatal(err)
	}
	at := 0
	err = filepath.WalkDir(one, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "README.txt" {
			return err
		}
		name, _ := filepath.Rel(one, path)
		a, errA := os.ReadFile(path)
		b, errB := os.ReadFile(filepath.Join(two, name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: %v, %v, or the bytes differ", name, errA, errB)
		}
		if filepath.Ext(name) != ".parquet" {
			return nil
		}
		got, err := datasets.Read(path, datasets.ReadOptions{})
		if err != nil {
			return err
		}
		for i := range got.Rows() {
			for k := range got.Columns {
				if x, y := got.Columns[k].At(i), c.Events.Columns[k].At(at); x.String() != y.String() {
					t.Fatalf("%s, row %d: %s is %v, in memory %v", name, i, got.Columns[k].Name, x, y)
				}
			}
			at++
		}
		return nil
	})
	if err != nil || at != c.Events.Rows() || at != n {
		t.Errorf("%v; %d events in the files, %d in memory, %d told", err, at, c.Events.Rows(), n)
	}
}
