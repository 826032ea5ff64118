package online

import (
	"bytes"
	"errors"
	"testing"

	"propensity/datasets"
	"propensity/features/facts"
)

func FuzzDecode(f *testing.F) {
	f.Add(encode(nil, &facts.Fact{Occurred: 5, End: datasets.MissingTime}))
	f.Add(encode(nil, &facts.Fact{Occurred: -5, End: 9, Values: map[string]datasets.Value{
		"a": {Kind: datasets.Number, Number: 1.5}, "b": {Kind: datasets.Boolean, Number: 1}, "c": {Kind: datasets.Time, Time: 7},
		"d": {Kind: datasets.Category, Text: "pro"}, "e": {Kind: datasets.Text},
	}}))
	f.Add([]byte{1, 0, 0, 1, 'a', 4, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, content []byte) {
		var fact facts.Fact
		err := decode(content, &fact)
		if err != nil {
			if !errors.Is(err, errContent) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if again := encode(nil, &fact); !bytes.Equal(again, content) {
			t.Fatalf("%x was read as %v, which is written as %x", content, fact, again)
		}
		occurred, end, err := instants(content)
		if err != nil || occurred != fact.Occurred || end != fact.End {
			t.Fatalf("instants %d, %d, %v, want %d, %d", occurred, end, err, fact.Occurred, fact.End)
		}
	})
}

func TestDecodeRefusesEveryPart(t *testing.T) {
	whole := encode(nil, &facts.Fact{Occurred: 5, End: 9, Values: map[string]datasets.Value{"plan": {Kind: datasets.Category, Text: "pro"}, "seats": {Kind: datasets.Number, Number: 3}}})
	parts := 0
	for n := range whole {
		var f facts.Fact
		if err := decode(whole[:n], &f); err == nil && !bytes.Equal(encode(nil, &f), whole[:n]) {
			t.Errorf("the first %d bytes are read as %v", n, f)
		} else if err != nil {
			parts++
		}
	}
	if parts < len(whole)-3 { // the parts that end with a value are whole facts
		t.Errorf("only %d of %d parts are refused", parts, len(whole))
	}
}
