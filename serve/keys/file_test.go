package keys

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

const sound = `{"version": 1, "keys": [{"id": "abcd2345", "name": "crm", "scopes": ["score"], "rate": 5, "burst": 10,
	"created": "2026-03-01T12:00:00Z", "secrets": [{"sha256": "` +
	`abababababababababababababababababababababababababababababababab", "created": "2026-03-01T12:00:00Z"}]}]}`

func TestParseNamesWhatIsWrong(t *testing.T) {
	if _, err := parse([]byte(sound)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{sound, "", "no JSON"},
		{sound, "null", "version 0"},
		{`"version": 1`, `"version": 2`, "version 2"},
		{`"rate"`, `"ratio"`, "ratio"},
		{`5`, `"5"`, "no JSON"},
		{`5`, `-5`, "-5"},
		{`["score"]`, `["score", "all"]`, `"all" is no scope`},
		{`["score"]`, `[]`, "no scope"},
		{`abcd2345`, `ABCD2345`, "the id"},
		{`crm`, ``, "the name"},
		{`abab`, `xyxy`, "no SHA-256"},
		{`"secrets"`, `"revoked": "2026-03-01T12:00:00Z", "secrets"`, "secrets"},
		{sound, sound + " {}", "goes on"},
	} {
		if _, err := parse([]byte(strings.Replace(sound, c.old, c.new, 1))); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.30q for %.30q: %v", c.new, c.old, err)
		}
	}
	key := sound[strings.Index(sound, "[")+1 : len(sound)-2]
	if _, err := parse([]byte(strings.Replace(sound, key, key+","+key, 1))); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("an id twice: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sound))
	f.Add([]byte(`{"version":1,"keys":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parse(b)
		if err != nil {
			return
		}
		once, err := format(list)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(once)
		if err != nil {
			t.Fatalf("%v of its own\n%s", err, once)
		}
		if twice, err := format(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v:\n%s\n%s", err, once, twice)
		}
	})
}
