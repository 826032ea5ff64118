package online

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

func FuzzDecode(f *testing.F) {
	f.Add(encode(nil, &facts.Fact{Occurred: 5, End: datasets.MissingTime}))
	f.Add(encode(nil, &facts.Fact{Occurred: -5, End: 9, Values: map[string]datasets.Value{
		"a": {Kind: datasets.Number, Number: 1.5}, "b": {Kind: datasets.Boolean, Number: 1}, "c": {Kind: datasets.Time, Time: 7},
		"d": {Kind: datasets.Category, Text: "pro"}, "e": {Kind: datasets.Text},
	}}))
	f.Add(encode(nil, &facts.Fact{Occurred: 5, End: 9, Values: map[string]datasets.Value{
		"c": {Kind: datasets.Category, Text: "2026-03-01"}, "d": {Kind: datasets.Number, Number: 7.5}, "e": {Kind: datasets.Boolean, Number: 1}, "f": {Kind: datasets.Time, Time: 3}, "g": {Kind: datasets.Text},
	}}))
	f.Add(encode(nil, &facts.Fact{Occurred: 5, End: 9, Values: map[string]datasets.Value{"a": {Kind: datasets.Category, Text: "x"}, "d": {Kind: datasets.Time, Time: 1}}}))
	f.Add([]byte{1, 0, 0, 1, 'a', 4, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	p := &spec.Project{Sources: []spec.Source{{Name: "s", Kind: spec.Intervals, User: "e", Columns: []spec.Column{
		{Name: "a", Kind: datasets.Number}, {Name: "b", Kind: datasets.Boolean}, {Name: "c", Kind: datasets.Time}, {Name: "d", Kind: datasets.Category}, {Name: "e", Kind: datasets.Text}, {Name: "f"},
	}}}}
	spell := func(part *facts.Part, err error) string {
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%+v", *part)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		r := &record{account: "A", source: "s", id: "1", arrived: 3, content: content}
		fact, err := r.fact()
		if err != nil {
			if straight := r.gather(facts.NewGather(p), 0); !errors.Is(err, errContent) || !errors.Is(straight, errContent) {
				t.Fatalf("errors %v, and straight into columns %v", err, straight)
			}
			return
		}
		if again := encode(nil, &fact); !bytes.Equal(again, content) {
			t.Fatalf("%x was read as %v, which is written as %x", content, fact, again)
		}
		occurred, end, err := r.instants()
		if err != nil || occurred != fact.Occurred || end != fact.End {
			t.Fatalf("instants %d, %d, %v, want %d, %d", occurred, end, err, fact.Occurred, fact.End)
		}
		g := facts.NewGather(p)
		if err := r.gather(g, 0); err != nil {
			t.Fatalf("%v, which decodes", err)
		}
		list := []facts.Fact{fact}
		fitted(p, list)
		if got, want := spell(g.Part([]string{"A"})), spell(facts.Assemble(p, []string{"A"}, list)); got != want {
			t.Fatalf("straight into columns:\n%s\nby way of the fact:\n%s", got, want)
		}
	})
}

func TestDecodeRefusesEveryPart(t *testing.T) {
	whole := encode(nil, &facts.Fact{Occurred: 5, End: 9, Values: map[string]datasets.Value{"plan": {Kind: datasets.Category, Text: "pro"}, "seats": {Kind: datasets.Number, Number: 3}}})
	parts := 0
	for n := range whole {
		f, err := (&record{content: whole[:n]}).fact()
		if err == nil && !bytes.Equal(encode(nil, &f), whole[:n]) {
			t.Errorf("the first %d bytes are read as %v", n, f)
		} else if err != nil {
			parts++
		}
	}
	if parts < len(whole)-3 { // the parts that end with a value are whole facts
		t.Errorf("only %d of %d parts are refused", parts, len(whole))
	}
}
