package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"propensity/datasets"
)

// A stream is answered batch by batch, while more of it is to come.
func TestArrowAsItComes(t *testing.T) {
	f := churn(t, Config{})
	in, out := io.Pipe()
	request, err := http.NewRequest(http.MethodPost, f.http.URL+batchPath+"?reasons=1", in)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", arrowType)
	w := datasets.NewWriter(out, datasets.ArrowStream)
	send := func(rows ...int) error { return errors.Join(w.Write(dialectTable(t).Take(rows)), w.Flush()) }
	sent := make(chan error, 1)
	go func() { sent <- send(0, 1) }()
	resp, err := f.http.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	kinds := map[string]datasets.Kind{"account": datasets.Text, "probability": datasets.Number}
	answers, err := datasets.OpenRecords(resp.Body, "answer", datasets.RecordOptions{Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, rows := range [][]int{{2}, {3, 4}, nil} {
		part, err := answers.Next() // before the next batch has been sent
		if err != nil {
			t.Fatal(err)
		}
		for i := range part.Rows() {
			got = append(got, part.Column("account").At(i).Text)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		go func() {
			if rows == nil {
				sent <- errors.Join(w.Commit(), out.Close())
			} else {
				sent <- send(rows...)
			}
		}()
	}
	if _, err := answers.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if want := []string{"A-0", "A-1", "A-2", "A-3", "A-4"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// The query has the options; columns are those of the command score.
func TestArrowOptions(t *testing.T) {
	f := churn(t, Config{})
	post := func(query string, table *datasets.Table) []string {
		t.Helper()
		got := f.post(t, batchPath+query, arrowType, arrowBody(t, table))
		if got.status != 200 {
			t.Fatalf("%s: %d %s", query, got.status, got.body)
		}
		lines, _ := arrowAnswers(t, got.body)
		return lines
	}
	whole := dialectTable(t)
	if got := post("?reasons=0&as_of="+rowsAsOf, whole); len(got) != 5 || strings.Count(got[0], "|") != 10 || !strings.HasPrefix(got[0], "A-0|churn|1|2026-03-01T09:30:00Z|0.26") {
		t.Errorf("%q", got)
	}
	if got := post("?reasons=1&account=code", whole); !strings.HasPrefix(got[0], "002|churn|1|") || strings.Count(got[0], "|") != 13 {
		t.Errorf("%q", got)
	}
	few := &datasets.Table{Columns: []datasets.Column{*whole.Column("plan")}}
	if got := post("?allow_missing=true&reasons=0", few); !strings.HasPrefix(got[0], "churn|1|") || !strings.Contains(got[0], "seats is missing") {
		t.Errorf("%q", got)
	}
	none := post("?reasons=0", whole.Take(nil))
	if len(none) != 0 {
		t.Errorf("%q", none)
	}
}

// Before the first answer a fault has a status of its own.
func TestArrowRefused(t *testing.T) {
	f := churn(t, Config{MaxBatchRows: 6, MaxBatchBody: 8000, MaxRecordBatch: 4000, MaxFields: 9})
	whole := dialectTable(t)
	body := func(table *datasets.Table) string { return arrowBody(t, table).String() }
	more := func(columns ...datasets.Column) *datasets.Table {
		return &datasets.Table{Columns: append(slices.Clone(whole.Columns), columns...)}
	}
	wide := more()
	for i := range 3 {
		wide.Columns = append(wide.Columns, datasets.Column{Name: fmt.Sprint("x", i), Kind: datasets.Number, Numbers: make([]float64, 5)})
	}
	late := more(datasets.Column{Name: "moment", Kind: datasets.Time, Times: []int64{0, 0, datasets.MissingTime, 0, 0}})
	long := more(datasets.Column{Name: "note", Kind: datasets.Text, Codes: make([]int32, 5), Values: []string{strings.Repeat("x", 1000)}})
	typed := more()
	for j := range typed.Columns {
		if c := &typed.Columns[j]; c.Name == "sso" {
			*c = datasets.Column{Name: "sso", Kind: datasets.Text, Codes: make([]int32, 5), Values: []string{"maybe"}}
		}
	}
	for _, c := range []struct {
		what, query, body string
		status            int
		says              string
	}{
		{"nothing", "", "", 400, "no Arrow"},
		{"JSON", "", `{"rows":[]}`, 400, "does not begin as an Arrow stream"},
		{"cut off", "", body(whole)[:1500], 400, "ends in the middle"},
		{"columns absent", "", body(&datasets.Table{Columns: whole.Columns[:3]}), 422, "5 faults, the first: seats is absent"},
		{"no column", "?allow_missing=true", body(&datasets.Table{Columns: []datasets.Column{{Name: "x", Kind: datasets.Number, Numbers: []float64{1}}}}), 422, "none is wanted"},
		{"many columns", "", body(wide), 422, "more than 9 columns"},
		{"another type", "", body(typed), 422, `column "sso"`},
		{"no moment", "", body(late), 422, `row 3 has no moment in "moment"`},
		{"a large message", "", body(long), 413, "a message may have 4000 bytes"},
		{"too many rows", "", body(whole.Take([]int{0, 1, 2, 3, 4, 0, 1})), 413, "more than 6 rows"},
		{"reasons", "?reasons=-1", body(whole), 400, "reasons must be"},
		{"allow_missing", "?allow_missing=1", body(whole), 400, "allow_missing must be"},
		{"as_of", "?as_of=now", body(whole), 400, "as_of must be"},
		{"an account that is no column", "?account=nobody", body(whole), 422, `no column "nobody" of accounts`},
		{"an unknown parameter", "?reason=1", body(whole), 400, `unknown parameter "reason"`},
		{"a parameter twice", "?reasons=1&reasons=2", body(whole), 400, "reasons must be there once"},
	} {
		got := f.unchecked(http.MethodPost, batchPath+c.query, arrowType, c.body)
		if got.status != c.status || got.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(decodeAs[problem](t, got.body).Detail, c.says) {
			t.Errorf("%s: %d %s, want %d %s", c.what, got.status, got.body, c.status, c.says)
		}
	}
	request, err := http.NewRequest(http.MethodPost, f.http.URL+batchPath, arrowBody(t, whole))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", arrowType)
	for accept, status := range map[string]int{"application/json": 406, "text/html, application/*;q=0": 406, "application/json, */*;q=0.1": 200, arrowType: 200, "application/*": 200} {
		again := request.Clone(t.Context())
		again.Body, _ = request.GetBody()
		again.Header.Set("Accept", accept)
		resp, err := f.http.Client().Do(again)
		if err != nil {
			t.Fatal(err)
		}
		if got := readReply(t, resp); got.status != status {
			t.Errorf("Accept %s: %d %s", accept, got.status, got.body)
		}
	}
}

// After the first answer a fault cuts the stream off, so that it cannot be taken for whole.
func TestArrowCutOff(t *testing.T) {
	f := churn(t, Config{MaxBatchRows: 7})
	whole := dialectTable(t)
	resp, err := f.http.Client().Post(f.http.URL+batchPath, arrowType, arrowBody(t, whole, whole))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answers, err := datasets.OpenRecords(resp.Body, "answer", datasets.RecordOptions{Kinds: map[string]datasets.Kind{"probability": datasets.Number}})
	if err != nil {
		t.Fatal(err)
	}
	if part, err := answers.Next(); err != nil || part.Rows() != 5 {
		t.Fatal(part, err)
	}
	if _, err := answers.Next(); !errors.Is(err, datasets.ErrTruncated) && !errors.Is(err, datasets.ErrEncoding) {
		t.Errorf("a stream that was cut off ends with %v", err)
	}
}

// A client that does not read holds the server up, which then reads no more of the stream
// and keeps no more than a record batch and its answer.
func TestArrowBackpressure(t *testing.T) {
	f := churn(t, Config{})
	const rows, batches = 1000, 160
	places := make([]int, rows)
	for i := range places {
		places[i] = i % 5
	}
	part := dialectTable(t).Take(places)
	one, two := arrowBody(t, part).Bytes(), arrowBody(t, part, part).Bytes()
	const end = 8 // the mark at the end of a stream
	record := two[len(one)-end : len(two)-end]
	sent := &counter{line: record, left: batches}
	body := io.MultiReader(bytes.NewReader(one[:len(one)-end-len(record)]), sent, bytes.NewReader(one[len(one)-end:]))
	req, err := http.NewRequest(http.MethodPost, f.http.URL+batchPath+"?reasons=1", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", arrowType)
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
	if all := int64(batches * len(record)); before == all {
		t.Skipf("the system's socket buffers took all %d bytes of the batch", all)
	}
	if m.HeapAlloc > 64<<20 {
		t.Errorf("%d MiB in use with a client that does not read", m.HeapAlloc>>20)
	}
	answers, err := datasets.OpenRecords(resp.Body, "answer", datasets.RecordOptions{Kinds: map[string]datasets.Kind{"probability": datasets.Number}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		part, err := answers.Next()
		if err == io.EOF {
			break
		}
		if err != nil || part.Rows() != rows {
			t.Fatal(part.Rows(), err)
		}
		n++
	}
	if n != batches {
		t.Errorf("%d record batches, want %d", n, batches)
	}
}
