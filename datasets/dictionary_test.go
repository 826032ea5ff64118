package datasets

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// A dictionary numbers texts as a map does, whatever they are read from.
func TestDictionaryTwin(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[ab\x00]{0,3}`), rapid.StringMatching(`[ab]{6,10}`), rapid.StringMatching(`(a|b|longer text ){0,6}`))
	rapid.Check(t, func(t *rapid.T) {
		var d dictionary
		twin := make(map[string]int32)
		for _, s := range rapid.SliceOf(text).Draw(t, "texts") {
			want, met := twin[s]
			if !met {
				want = int32(len(twin))
				twin[s] = want
			}
			key := textKey(s)
			if bytes := textKey([]byte(s)); bytes != key {
				t.Fatalf("%q has keys %x and %x", s, key, bytes)
			}
			if got := find(&d, s, key); (got >= 0) != met || met && got != want {
				t.Fatalf("%q is found as %d, want %d", s, got, want)
			}
			if 0 < len(s) && len(s) <= 8 {
				if got := d.short(key, len(s)); (got >= 0) != met || met && got != want {
					t.Fatalf("%q is found as %d, want %d", s, got, want)
				}
			}
			if got := number(&d, []byte(s)); got != want || d.values[want] != s {
				t.Fatalf("%q is %d, want %d", s, got, want)
			}
		}
	})
}

func TestDictionaryLarge(t *testing.T) {
	const n = 100_000
	var d dictionary
	for range 2 {
		for i := range n {
			if got := number(&d, fmt.Sprintf("account-%d", i)); got != int32(2*i) {
				t.Fatalf("account-%d is %d", i, got)
			}
			if got := number(&d, fmt.Sprint(i)); got != int32(2*i+1) {
				t.Fatalf("%d is %d", i, got)
			}
		}
	}
	if len(d.values) != 2*n || len(d.slots) > 4*len(d.values) {
		t.Errorf("%d slots for %d texts", len(d.slots), len(d.values))
	}
}

func BenchmarkDictionary(b *testing.B) {
	for name, form := range map[string]string{"short": "c_%03d", "long": "a category %03d"} {
		b.Run(name, func(b *testing.B) {
			texts := make([]string, 256)
			for i := range texts {
				texts[i] = fmt.Sprintf(form, i)
			}
			var d dictionary
			for i := 0; b.Loop(); i++ {
				number(&d, texts[i*37%256])
			}
		})
	}
}
