package serve

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

type batchAnswer struct {
	Answers []wire
	Error   *problem
}

const batchPath = "/v1/models/churn/score:batch"

func (f *fixture) ndjson(t *testing.T, body string) []wire {
	t.Helper()
	got := f.post(t, batchPath, "application/x-ndjson", strings.NewReader(body))
	if got.status != 200 || got.header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	var out []wire
	for _, line := range strings.SplitAfter(string(got.body), "\n") {
		if line != "" {
			out = append(out, decodeAs[wire](t, []byte(line)))
		}
	}
	return out
}

// A bad line loses no other, and the answer tells its line.
func TestNDJSON(t *testing.T) {
	f := churn(t, Config{MaxBody: 1000})
	ok := func(account string) string { return requestOf(account, wholeRow) }
	got := f.ndjson(t, strings.Join([]string{
		ok("a"), "", `{"row":`, "  \t", ok("b") + "\r", `{"row":{}}`, strings.Repeat("x", 200_000), ok("c"), `{"row":` + strings.Replace(wholeRow, "6", `"6"`, 1) + `}`, ok("d"),
	}, "\n"))
	want := []struct {
		account            string
		line, status, most int
	}{{"a", 0, 0, 0}, {"", 3, 400, 1}, {"b", 0, 0, 0}, {"", 6, 422, 7}, {"", 7, 413, 1}, {"c", 0, 0, 0}, {"", 9, 422, 1}, {"d", 0, 0, 0}}
	if len(got) != len(want) {
		t.Fatalf("%d answers, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		if g := got[i]; w.status == 0 {
			if g.Account != w.account || g.Error != nil {
				t.Errorf("answer %d: %+v", i, g)
			}
		} else if g.Error == nil || g.Error.Line != w.line || g.Error.Status != w.status || len(g.Error.Errors) != w.most {
			t.Errorf("answer %d: %+v", i, g.Error)
		}
	}
	if got := f.ndjson(t, ""); len(got) != 0 {
		t.Errorf("an empty batch has %d answers", len(got))
	}
}

func TestJSONBatch(t *testing.T) {
	f := churn(t, Config{MaxBody: 1000})
	ok := requestOf("a", wholeRow)
	got := f.post(t, batchPath, "application/json", strings.NewReader(
		` {"ro\u0077s" : [ `+ok+` , {"row":{"plan":NaN}}, 5,`+requestOf("b]},{\\\"[", wholeRow)+`, {"row":"`+strings.Repeat("[", 5000)+`"}, `+ok+"\n] }\n"))
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	batch := decodeAs[batchAnswer](t, got.body)
	want := []string{"200", "400 /rows/1/row/plan", "422 /rows/2", "200", "413 /rows/4", "200"}
	if len(batch.Answers) != len(want) {
		t.Fatalf("%s", got.body)
	}
	for i, a := range batch.Answers {
		s := "200"
		if a.Error != nil {
			s = fmt.Sprint(a.Error.Status, " ", a.Error.Errors[0].Pointer)
		}
		if s != want[i] {
			t.Errorf("answer %d: %s, want %s", i, s, want[i])
		}
	}
	for _, empty := range []string{`{"rows":[]}`, ` { "rows" : [ ] } `} {
		if got := f.post(t, batchPath, "application/json", strings.NewReader(empty)); got.status != 200 || string(got.body) != "{\"answers\":[]}\n" {
			t.Errorf("%s: %d %s", empty, got.status, got.body)
		}
	}
}

// A body that is no batch has a status of its own while nothing has been sent.
func TestBadBatches(t *testing.T) {
	f := churn(t, Config{MaxBody: 1000, MaxBatchRows: 4, MaxBatchBody: 5000})
	ok := requestOf("a", wholeRow)
	for _, c := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"empty", "application/json", ``, 400},
		{"array", "application/json", `[]`, 400},
		{"no rows", "application/json", `{}`, 422},
		{"another field", "application/json", `{"row":[]}`, 422},
		{"a field more", "application/json", `{"rows":[],"x":1}`, 422},
		{"rows null", "application/json", `{"rows":null}`, 422},
		{"rows object", "application/json", `{"rows":{}}`, 422},
		{"comma first", "application/json", `{"rows":[,]}`, 400},
		{"comma last", "application/json", `{"rows":[` + ok + `,]}`, 400},
		{"no comma", "application/json", `{"rows":[` + ok + ok + `]}`, 400},
		{"cut off", "application/json", `{"rows":[` + ok + `,{"row":`, 400},
		{"not closed", "application/json", `{"rows":[` + ok, 400},
		{"brackets crossed", "application/json", `{"rows":[{"row":[}]}]}`, 400},
		{"more after it", "application/json", `{"rows":[]}{}`, 400},
		{"deep", "application/json", `{"rows":[` + strings.Repeat("[", 900), 400},
		{"too many", "application/json", `{"rows":[` + strings.Repeat("1,", 5) + `1]}`, 413},
		{"too large", "application/json", `{"rows":[` + strings.Repeat(" ", 9000) + `]}`, 413},
		{"text", "text/csv", `a,b`, 415},
	} {
		got := f.post(t, batchPath, c.contentType, strings.NewReader(c.body))
		if got.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, got.status, got.body, c.status)
			continue
		}
		checkProblem(t, got, c.status)
	}
	// Once lines have been answered the error comes last.
	got := f.post(t, batchPath, "application/x-ndjson", strings.NewReader(strings.Repeat(ok+"\n", 5)))
	if got.status == 200 {
		lines := strings.Split(strings.TrimSpace(string(got.body)), "\n")
		if last := decodeAs[wire](t, []byte(lines[len(lines)-1])); len(lines) != 5 || last.Error == nil || last.Error.Status != 413 {
			t.Errorf("%s", got.body)
		}
	} else if got.status != 413 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A JSON batch that breaks off late still gives the answers before the break.
func TestLateFault(t *testing.T) {
	f := churn(t, Config{})
	n := 500
	got := f.post(t, batchPath, "application/json", strings.NewReader(`{"rows":[`+strings.Repeat(requestOf("a", wholeRow)+",", n)+`]}`))
	batch := decodeAs[batchAnswer](t, got.body)
	if got.status != 200 || len(batch.Answers) != n || batch.Error == nil || batch.Error.Status != 400 {
		t.Errorf("%d, %d answers, %+v", got.status, len(batch.Answers), batch.Error)
	}
	for _, a := range batch.Answers {
		if a.Error != nil {
			t.Fatalf("%+v", a.Error)
		}
	}
}

// A client may send a line and wait for its answer before it sends the next.
// (Go's own client would keep the lines until it has a few thousand bytes.)
func TestLockstep(t *testing.T) {
	f := churn(t, Config{})
	c, err := net.Dial("tcp", strings.TrimPrefix(f.http.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n", batchPath)
	send := func(i int) {
		line := requestOf(fmt.Sprint(i), wholeRow) + "\n"
		fmt.Fprintf(c, "%x\r\n%s\r\n", len(line), line)
	}
	send(0)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answers := bufio.NewScanner(resp.Body)
	for i := range 20 {
		if i > 0 {
			send(i)
		}
		if !answers.Scan() || decodeAs[wire](t, answers.Bytes()).Account != fmt.Sprint(i) {
			t.Fatalf("answer %d: %s %v", i, answers.Bytes(), answers.Err())
		}
	}
	io.WriteString(c, "0\r\n\r\n")
	if answers.Scan() {
		t.Errorf("one answer more: %s", answers.Bytes())
	}
}

// A client that does not read holds the server up, which then reads no more of
// the body and keeps no more than its buffers.
func TestBackpressure(t *testing.T) {
	f := churn(t, Config{})
	line := []byte(requestOf("a", wholeRow) + "\n")
	const rows = 60_000
	sent := &counter{line: line, left: rows}
	req, err := http.NewRequest("POST", f.http.URL+batchPath, sent)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := f.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var before int64 = -1
	for now := sent.n.Load(); now != before; now = sent.n.Load() { // until nothing moves
		before = now
		time.Sleep(100 * time.Millisecond)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if all := int64(rows * len(line)); before == all {
		t.Skipf("the system's socket buffers took all %d bytes of the batch", all)
	}
	if m.HeapAlloc > 64<<20 {
		t.Errorf("%d MiB in use with a client that does not read", m.HeapAlloc>>20)
	}
	n := 0
	for answers := bufio.NewScanner(resp.Body); answers.Scan(); n++ {
		if n%5000 == 0 && decodeAs[wire](t, answers.Bytes()).Error != nil {
			t.Fatalf("%s", answers.Bytes())
		}
	}
	if n != rows {
		t.Errorf("%d answers, want %d", n, rows)
	}
}

// The framing agrees with encoding/json on where the elements of an array end.
func FuzzElements(f *testing.F) {
	f.Add([]byte(`{"rows":[{"a":"]},{\""},[1,2],3 , "x,y",null]}`))
	f.Add([]byte(`{"rows" : [ ] } `))
	f.Fuzz(func(t *testing.T, body []byte) {
		e := &elements{r: bufio.NewReaderSize(bytes.NewReader(body), 16), max: 1 << 20}
		var got []string
		for {
			text, _, err := e.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				if _, ok := err.(*problem); !ok {
					t.Fatalf("%#v", err)
				}
				return
			}
			got = append(got, string(text))
		}
		var want map[string][]json.RawMessage
		if json.Unmarshal(body, &want) != nil {
			return // a request within is no JSON: the decoder's to say
		}
		rows, ok := want["rows"]
		if !ok || len(want) != 1 || len(rows) != len(got) {
			t.Fatalf("%q for %s", got, body)
		}
		for i := range rows {
			if string(rows[i]) != got[i] {
				t.Errorf("%q, want %q", got[i], rows[i])
			}
		}
	})
}

// counter is a body of equal lines that counts what is taken of it.
type counter struct {
	line []byte
	at   int
	left int
	n    atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && c.left > 0 {
		k := copy(p[n:], c.line[c.at:])
		n, c.at = n+k, c.at+k
		if c.at == len(c.line) {
			c.at, c.left = 0, c.left-1
		}
	}
	c.n.Add(int64(n))
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
