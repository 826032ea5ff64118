package report

import (
	"os"
	"testing"
)

func TestDump(t *testing.T) {
	m, e, c := rich()
	b, err := HTML(m, e, c)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile("/tmp/rich.html", b, 0o644)
	os.WriteFile("/tmp/rich.md", Card(m, e, c), 0o644)
	t.Log(len(b))
}
