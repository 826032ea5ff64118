package serve

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// raw sends bytes to a server and reads what comes: until the server closes the
// connection if it should, else until there are as many answers as want lists and a
// moment more, to see that no others follow.
func raw(t *testing.T, r *running, text, want string, close bool) (answer string, closed bool) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go io.WriteString(c, text) // while answers come; it ends with the connection
	var b []byte
	part := make([]byte, 64<<10)
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	for seen := false; ; {
		n, err := c.Read(part)
		b = append(b, part[:n]...)
		if err != nil {
			timeout, ok := err.(net.Error)
			return string(b), !ok || !timeout.Timeout()
		}
		if !close && !seen && len(statuses(string(b))) >= len(want) {
			seen = true
			c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		}
	}
}

// statuses are those of the answers in a stream of them, in their order.
func statuses(answer string) string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^HTTP/1\.[01] (\d{3}) `).FindAllStringSubmatch(answer, -1) {
		out = append(out, m[1])
	}
	return strings.Join(out, " ")
}

func hostile(t *testing.T, cfg Config) *running {
	t.Helper()
	r := run(t, churn(t, cfg))
	t.Cleanup(func() {
		r.stop()
		if err := <-r.done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// posted is a request to score, with more headers.
func posted(body string, headers ...string) string {
	h := strings.Join(append([]string{"Host: localhost", "Content-Type: application/json"}, headers...), "\r\n")
	return "POST " + scorePath + " HTTP/1.1\r\n" + h + "\r\n\r\n" + body
}

func length(n int) string { return fmt.Sprintf("Content-Length: %d", n) }

// What could be read as two requests by one program and as one by another (request
// smuggling, RFC 9112 section 11.2) is refused, and the connection closed; docs/ACCESS.md
// says what of the rest is taken, and how.
func TestSmuggling(t *testing.T) {
	r := hostile(t, Config{})
	body := requestOf("A", wholeRow)
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	const hidden = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for _, c := range []struct{ name, text, want string }{
		{"sound", posted(body, length(len(body))), "200"},
		{"sound, in chunks", posted(chunked, "Transfer-Encoding: chunked"), "200"},
		{"two lengths that differ", posted(body+hidden, length(len(body)), length(0)), "400"},
		{"two lengths in one", posted(body, fmt.Sprintf("Content-Length: %d, %d", len(body), len(body))), "400"},
		{"a signed length", posted(body, "Content-Length: +5"), "400"},
		{"a length below 0", posted(body, "Content-Length: -1"), "400"},
		{"a length in hexadecimal", posted(body, "Content-Length: 0x5"), "400"},
		{"an empty length", posted(body, "Content-Length:"), "400"},
		{"a length beyond 64 bits", posted(body, "Content-Length: 99999999999999999999"), "400"},
		{"another coding", posted(chunked, "Transfer-Encoding: gzip, chunked"), "501"},
		{"a coding in disguise", posted(chunked, "Transfer-Encoding: xchunked"), "501"},
		{"two codings", posted(chunked, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "501"},
		{"a space before the colon", posted(chunked, "Transfer-Encoding : chunked"), "400"},
		{"a name with a space", posted(body, "X Y: 1", length(len(body))), "400"},
		{"a bare CR", posted(body, "X: a\rContent-Length: 0", length(len(body))), "400"},
		{"a NUL", posted(body, "X: a\x00b", length(len(body))), "400"},
		{"a header without a colon", posted(body, "hidden", length(len(body))), "400"},
		{"a folded first line", strings.Replace(posted(body, length(len(body))), "\r\n", "\r\n ", 1), "400"},
		{"no host", "GET /livez HTTP/1.1\r\n\r\n", "400"},
		{"two hosts", "GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", "400"},
		{"a host with a space", "GET /livez HTTP/1.1\r\nHost: local host\r\n\r\n", "400"},
		{"a chunk longer than it says", posted("5\r\n{\"row\":1}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), "400"},
		{"a chunk of a wrong length", posted("zz\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), "400"},
		{"a chunk ended by a bare LF", posted(strings.Replace(chunked, "\r\n", "\n", 1), "Transfer-Encoding: chunked"), "400"},
		{"a chunk beyond 64 bits", posted("fffffffffffffffff\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), "400"},
		{"long words beside a chunk", posted("2;"+strings.Repeat("a", 1<<20)+"\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), "400"},
		{"no protocol", "GET /livez\r\n\r\n", "400"},
		{"another protocol", "GET /livez SMTP/1.1\r\n\r\n", "400"},
		{"a later protocol", "GET /livez HTTP/3.0\r\nHost: localhost\r\n\r\n", "505"},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "404"},
		{"no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
		{"another's address", "GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n\r\n", "403"},
		{"a tunnel", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", "403"},
		{"an expectation", posted(body, length(len(body)), "Expect: 200-ok"), "417"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			close := c.want[0] != '2' && c.want != "403"
			answer, closed := raw(t, r, c.text, c.want, close)
			if got := statuses(answer); got != c.want || closed != close {
				t.Errorf("answers %q, closed %v, want %s\n%s", got, closed, c.want, answer)
			}
		})
	}
	// A length beside chunks: the chunks count (RFC 9112, section 6.3), and what follows
	// them is another request to everyone.
	answer, _ := raw(t, r, posted(chunked+hidden, "Transfer-Encoding: chunked", length(4)), "200 404", false)
	if got := statuses(answer); got != "200 404" {
		t.Errorf("both lengths: %q\n%s", got, answer)
	}
}

func TestPipeliningAndOldProtocols(t *testing.T) {
	r := hostile(t, Config{})
	body := requestOf("A", wholeRow)
	one := posted(body, length(len(body)))
	get := "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for _, c := range []struct {
		name, text, want string
		closed           bool
	}{
		{"three at once", get + one + get, "200 200 200", false},
		{"after one that is refused", posted(`{"row": 1}`, length(10)) + get, "422 200", false},
		{"asked to close", strings.Replace(get, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1) + get, "200", true},
		{"HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n" + get, "200", true},
		{"HTTP/1.0 kept alive", "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get, "200 200", false},
		{"HTTP/1.0 with a body", strings.Replace(one, "HTTP/1.1", "HTTP/1.0", 1), "200", true},
		{"a body longer than it says", posted(body+"GARBAGE", length(len(body))) + "\r\n\r\n", "200 400", true},
		{"lines ended by LF alone", strings.ReplaceAll(get, "\r\n", "\n"), "200", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answer, closed := raw(t, r, c.text, c.want, c.closed)
			if got := statuses(answer); got != c.want || closed != c.closed {
				t.Errorf("answers %q, closed %v\n%s", got, closed, answer)
			}
		})
	}
	// A body shorter than it says, and then the end.
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, posted(body, length(len(body)+1)))
	c.(*net.TCPConn).CloseWrite()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	b, err := io.ReadAll(c)
	if err != nil || statuses(string(b)) != "400" || !strings.Contains(string(b), "the body ends early") {
		t.Errorf("%v %s", err, b)
	}
}

func TestLargeAndDeep(t *testing.T) {
	r := hostile(t, Config{MaxBody: 64 << 10, MaxFields: 100})
	big := strings.Repeat("a", 64<<10)
	var fields strings.Builder
	for i := range 101 {
		fmt.Fprintf(&fields, `"f%d":1,`, i)
	}
	for _, c := range []struct{ name, text, want string }{
		{"a long header", "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + big + "\r\n\r\n", "431"},
		{"many headers", "GET /livez HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: a\r\n", 10_000) + "\r\n", "431"},
		{"a long path", "GET /" + big + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "431"},
		{"a long name of a model", "POST /v1/models/" + big[:8000] + "/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "400"},
		{"a long version", "POST /v1/models/churn@" + strings.Repeat("9", 5000) + "/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "400"},
		{"a long name of a column", posted(`{"row":{"`+big[:60_000]+`":1}}`, length(60_014)), "422"},
		{"a long body", posted(strings.Repeat(" ", 64<<10+1), length(64<<10+1)), "413"},
		{"a long body in chunks", posted("20000\r\n"+strings.Repeat(" ", 0x20000)+"\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), "413"},
		{"many fields", posted(`{"row":{`+fields.String()+`"x":1}}`, length(fields.Len()+15)), "422"},
		{"deep arrays", posted(strings.Repeat("[", 60_000), length(60_000)), "400"},
		{"deep objects", posted(strings.Repeat(`{"a":`, 10_000), length(50_000)), "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answer, _ := raw(t, r, c.text, c.want, false)
			if got := statuses(answer); got != c.want {
				t.Errorf("answers %q\n%.600s", got, answer)
			}
			if len(answer) > 4096 {
				t.Errorf("an answer of %d bytes", len(answer))
			}
		})
	}
}

// A compressed body is refused unread: there is nothing that could swell.
func TestGzipBomb(t *testing.T) {
	r := hostile(t, Config{})
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 16 {
		z.Write(zeros)
	}
	z.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 4 {
		answer, _ := raw(t, r, posted(bomb.String(), length(bomb.Len()), "Content-Encoding: gzip"), "415", false)
		if statuses(answer) != "415" {
			t.Fatalf("%s", answer)
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 { // a quarter of what they would swell to
		t.Errorf("%d bytes were allocated for %d", used, 4*bomb.Len())
	}
}

// No path leads out of what the server has.
func TestPathTraversal(t *testing.T) {
	r := hostile(t, Config{})
	for _, path := range []string{
		"/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/v1/models/../../etc/passwd", "/v1/models/..%2f..%2f..%2fetc%2fpasswd",
		"/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/v1/models/%252e%252e%252fetc%252fpasswd", "/v1/models/..\\..\\windows\\win.ini", "/v1/models/..%5c..%5cwin.ini",
		"/v1/models/churn@..%2f..%2faliases.json", "/v1/models/churn@7%2f..%2fmanifest.json", "/v1/models/.lock", "/v1/models/..", "/v1/models/.", "/v1/models/churn%00", "/v1/models/%c0%ae%c0%ae%c0%af",
		"/v1/models/churn%0d%0aX-Injected:%201", "//etc/passwd", "/./livez/../../../etc/passwd",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			suffix := ""
			if method == "POST" {
				suffix = "/score"
			}
			answer, _ := raw(t, r, method+" "+path+suffix+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", "400", true)
			if got := statuses(answer); !strings.HasPrefix(got, "4") || len(got) != 3 || strings.Contains(answer, "root:") || strings.Contains(answer, "\r\nX-Injected") {
				t.Errorf("%s %s: %s", method, path, answer)
			}
		}
	}
}

// A client that takes no answers is given up, and its connection and memory with it.
func TestSlowReader(t *testing.T) {
	f := churn(t, Config{WriteTimeout: 100 * time.Millisecond})
	r := run(t, f)
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*net.TCPConn).SetReadBuffer(4096)
	line := requestOf("A", wholeRow) + "\n"
	io.WriteString(c, "POST "+batchPath+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
	gone := make(chan struct{})
	go func() { // sends until the server has had enough
		defer close(gone)
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 100*len(line), strings.Repeat(line, 100))
		for {
			if _, err := io.WriteString(c, chunk); err != nil {
				return
			}
		}
	}()
	select {
	case <-gone:
	case <-time.After(20 * time.Second):
		t.Fatal("the server waits for a client that reads nothing")
	}
	f.eventually(t, "rid of the connection", func() bool { return f.server.connections.count() == 0 })
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

// An unread body of one who may not send it is not taken in.
func TestBodiesOfStrangers(t *testing.T) {
	k := withKeys(t, Config{})
	r := run(t, k.fixture)
	answer, closed := raw(t, r, posted(strings.Repeat(" ", 1<<20), length(1<<30)), "401", true)
	if statuses(answer) != "401" || !closed {
		t.Errorf("closed %v: %s", closed, answer)
	}
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}
