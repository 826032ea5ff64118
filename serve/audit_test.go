package serve

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/serve/database"
	"propensity/serve/database/databasetest"
	"propensity/serve/keys"
)

// eachDatabase runs a test with a new database of each kind.
func eachDatabase(t *testing.T, test func(t *testing.T, db *database.DB)) {
	databasetest.Each(t, func(t *testing.T, address string) { test(t, databasetest.Open(t, address)) })
}

// acts is what the audit log shows, the oldest first, as "key act detail result status".
func (f *keyed) acts(t *testing.T) []string {
	t.Helper()
	got := f.ask(t, "GET", "/v1/audit", f.texts[scopeAdmin], "")
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var out []string
	page := decodeAs[auditPage](t, got.body)
	for i := len(page.Acts) - 1; i >= 0; i-- {
		r := page.Acts[i]
		if r.Number != int64(len(out)+1) {
			t.Errorf("act %d has the number %d", len(out)+1, r.Number)
		}
		if at, err := time.Parse(time.RFC3339Nano, r.At); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("at %s", r.At)
		}
		out = append(out, fmt.Sprintf("%s|%s|%s|%s|%d|%s", r.Key, r.Act, r.Detail, r.Result, r.Status, r.Request))
	}
	return out
}

// Every administrative act has its record when its answer is there: also one that is
// refused for want of the scope, one that fails, and one whose handler names nothing.
func TestAudit(t *testing.T) {
	eachDatabase(t, func(t *testing.T, db *database.DB) {
		var log page
		f := withKeys(t, Config{Database: db, Logger: log.logger()})
		admin := f.server.allow(scopeAdmin)
		f.server.engine.POST("/test/silent/:id", admin, func(c *gin.Context) { c.Status(http.StatusAccepted) })
		f.server.engine.POST("/test/several", admin, func(c *gin.Context) {
			f.server.audit(c, "test.one", "first")
			f.server.audit(c, "test.two", "second")
			f.server.fail(c, refuse(http.StatusConflict, "no"))
		})
		f.server.engine.POST("/test/panic", admin, func(*gin.Context) { panic("a fault") })
		send := func(method, path, key, body string, want int) {
			t.Helper()
			req := httptest.NewRequest(method, path, strings.NewReader(body)) // its routes are not of the contract
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("X-API-Key", key)
			req.Header.Set("X-Request-Id", "r-"+method)
			w := httptest.NewRecorder()
			f.server.Handler().ServeHTTP(w, req)
			if w.Code != want {
				t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		}
		k := f.texts[scopeAdmin]
		send("DELETE", "/v1/keys/"+f.ids[scopeRead], k, "", 200)
		send("DELETE", "/v1/keys/"+f.ids[scopeRead], k, "", 404)
		send("DELETE", "/v1/keys/"+f.ids[scopeAdmin], f.texts[scopeWrite], "", 403)
		send("DELETE", "/v1/keys/"+f.ids[scopeAdmin], "prop_none", "", 401) // not kept: anyone could fill the log
		send("POST", "/test/silent/A-17", k, "", 202)
		send("POST", "/test/several", k, "", 409)
		send("POST", "/test/panic", k, "", 500)
		send("GET", "/v1/keys", k, "", 200) // a look is no act
		f.server.audit(nil, "test.background", "of no request")
		id := f.ids[scopeAdmin]
		want := []string{
			id + "|keys.revoke|key " + f.ids[scopeRead] + " (test)|done|200|r-DELETE",
			id + "|DELETE /v1/keys/:id||refused|404|r-DELETE",
			f.ids[scopeWrite] + "|DELETE /v1/keys/:id||refused|403|r-DELETE",
			id + "|POST /test/silent/:id||done|202|r-POST",
			id + "|test.one|first|refused|409|r-POST",
			id + "|test.two|second|refused|409|r-POST",
			id + "|POST /test/panic||failed|500|r-POST",
			"|test.background|of no request|done|0|",
		}
		got := f.acts(t)
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Fatalf("act %d:\ngot  %q\nwant %q", i+1, got, want)
			}
		}
		if n := strings.Count(log.String(), "msg=audit"); n != len(want) {
			t.Errorf("%d lines in the log", n)
		}
		for _, statement := range []string{`UPDATE audit_acts SET key = ''`, `DELETE FROM audit_acts`} {
			if _, err := db.Exec(statement); err == nil || !strings.Contains(err.Error(), "only added to") {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
}

// What someone changes in the file of keys, by the command or by hand, is in the audit
// log too.
func TestAuditOfTheFileOfKeys(t *testing.T) {
	f := withKeys(t, Config{Database: databasetest.Open(t, databasetest.SQLite(t))})
	if _, err := keys.Revoke(context.Background(), f.path, f.ids[scopeWrite], time.Now()); err != nil {
		t.Fatal(err)
	}
	f.ask(t, "GET", "/v1/models", f.texts[scopeRead], "") // which notices
	var got []string
	f.eventually(t, "in the audit log", func() bool { got = f.acts(t); return len(got) > 0 })
	if want := "|keys.revoke|key " + f.ids[scopeWrite] + ", in the file of keys|done|0|"; len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAuditPages(t *testing.T) {
	eachDatabase(t, func(t *testing.T, db *database.DB) {
		f := withKeys(t, Config{Database: db})
		for i := range 7 {
			f.server.audit(nil, "test."+strconv.Itoa(i+1), "")
		}
		var seen []string
		path := "/v1/audit?limit=3"
		for range 3 {
			page := decodeAs[auditPage](t, f.ask(t, "GET", path, f.texts[scopeAdmin], "").body)
			for _, r := range page.Acts {
				seen = append(seen, strings.TrimPrefix(r.Act, "test."))
			}
			path = fmt.Sprintf("/v1/audit?limit=3&before=%d", page.Next)
			if (page.Next == 0) != (len(seen) == 7) {
				t.Errorf("next is %d after %q", page.Next, seen)
			}
		}
		if got := strings.Join(seen, ""); got != "7654321" {
			t.Errorf("%s", got)
		}
		for _, query := range []string{"before=0", "before=x", "limit=0", "limit=1001", "limit=", "before=99999999999999999999"} {
			got := f.ask(t, "GET", "/v1/audit?"+query, f.texts[scopeAdmin], "")
			if got.status != 400 {
				t.Errorf("%s: %d", query, got.status)
			}
			checkProblem(t, got, 400)
		}
	})
}

func TestAuditWithoutADatabase(t *testing.T) {
	var log page
	f := withKeys(t, Config{Logger: log.logger()})
	if got := f.ask(t, "GET", "/v1/audit", f.texts[scopeAdmin], ""); got.status != 501 || !strings.Contains(string(got.body), "--ledger") {
		t.Errorf("%d %s", got.status, got.body)
	}
	f.ask(t, "DELETE", "/v1/keys/"+f.ids[scopeRead], f.texts[scopeAdmin], "")
	if !strings.Contains(log.String(), "msg=audit act=keys.revoke") {
		t.Errorf("%s", log.String())
	}
}

// A database that does not answer undoes no act, and is told.
func TestAuditWithADeadDatabase(t *testing.T) {
	var log page
	db := databasetest.Open(t, databasetest.SQLite(t))
	f := withKeys(t, Config{Database: db, Logger: log.logger()})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := f.ask(t, "DELETE", "/v1/keys/"+f.ids[scopeRead], f.texts[scopeAdmin], ""); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if !strings.Contains(log.String(), "could not be kept") {
		t.Errorf("%s", log.String())
	}
	if got := f.ask(t, "GET", "/v1/audit", f.texts[scopeAdmin], ""); got.status != 503 {
		t.Errorf("%d %s", got.status, got.body)
	}
}
