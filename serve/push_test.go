package serve

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"propensity/models"
	"propensity/models/registry"
)

const versionsPath = "/v1/models/churn/versions"

func tarOf(t testing.TB, f models.Files) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := registry.WriteTar(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (f *fixture) push(t testing.TB, path string, body io.Reader) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "PUT", f.http.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-tar")
	resp, err := f.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return readReply(t, resp)
}

// A version travels from one server to another, bit for bit: it is there under the
// number of its new registry, answers the same, and is no alias's.
func TestVersionTravels(t *testing.T) {
	from, to := still(t, Config{}, 3), still(t, Config{}, 1)
	files := wantStatus(t, from.get(t, versionsPath+"/3/files"), 200)
	if got := files.header.Get("Content-Type"); got != "application/x-tar" || files.header.Get("ETag") == "" {
		t.Errorf("%v", files.header)
	}
	r := wantStatus(t, to.push(t, versionsPath, bytes.NewReader(files.body)), 201)
	got := decodeAs[pushedAnswer](t, r.body)
	if got.Version != 2 || !got.Published || r.header.Get("Location") != "/v1/models/churn@2" {
		t.Errorf("%+v, %v", got, r.header)
	}
	if a, b := from.score(t, "churn@3", requestOf("A", wholeRow)), to.score(t, "churn@2", requestOf("A", wholeRow)); strings.ReplaceAll(string(a.body), `"version":3`, `"version":2`) != string(b.body) {
		t.Errorf("%s\n%s", a.body, b.body)
	}
	if n := to.servedBy(t, "churn", "A"); n != 1 {
		t.Errorf("version %d answers before it is promoted", n)
	}
	// Again it is the same, and nothing changes.
	again := decodeAs[pushedAnswer](t, wantStatus(t, to.push(t, versionsPath, bytes.NewReader(files.body)), 200).body)
	if again.Version != 2 || again.Published || again.Hash != got.Hash {
		t.Errorf("%+v", again)
	}
	list := decodeAs[versionsAnswer](t, wantStatus(t, to.get(t, versionsPath), 200).body)
	if len(list.Versions) != 2 || list.Versions[1].Hash != got.Hash || len(list.Versions[1].Aliases) > 0 {
		t.Errorf("%+v", list)
	}
	log := decodeAs[logAnswer](t, to.get(t, "/v1/models/churn/log").body)
	if e := log.Entries[0]; e.Action != "publish" || e.Version != 2 || e.Actor != "api" || len(log.Entries) != 3 {
		t.Errorf("%+v", log)
	}
	// A model that the server has never seen.
	if got := decodeAs[pushedAnswer](t, wantStatus(t, to.push(t, "/v1/models/upsell/versions", bytes.NewReader(tarOf(t, artifactFiles(t, "upsell", 1)))), 201).body); got.Version != 1 {
		t.Errorf("%+v", got)
	}
	wantStatus(t, to.score(t, "upsell@1", requestOf("A", wholeRow)), 200)
	wantStatus(t, to.do(t, "PUT", "/v1/models/upsell/aliases/champion", `{"version": 1}`), 200)
	wantStatus(t, to.score(t, "upsell", requestOf("A", wholeRow)), 200)
}

// What is no sound version of that model is refused, and there is nothing of it.
func TestHostilePushes(t *testing.T) {
	f := still(t, Config{MaxVersionBytes: 1 << 20}, 1)
	whole := artifactFiles(t, "churn", 7)
	with := func(change func(models.Files)) []byte {
		g := models.Files{}
		for name, b := range whole {
			g[name] = bytes.Clone(b)
		}
		change(g)
		return tarOf(t, g)
	}
	raw := func(headers ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(w, zeros{}, h.Size); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		return b.Bytes()
	}
	for what, c := range map[string]struct {
		path   string
		body   []byte
		status int
	}{
		"nothing":          {versionsPath, nil, 422},
		"no tar":           {versionsPath, []byte(strings.Repeat("{}", 1000)), 422},
		"a path":           {versionsPath, raw(tar.Header{Typeflag: tar.TypeReg, Name: "../../churn/aliases.json", Size: 3}), 422},
		"a path from root": {versionsPath, raw(tar.Header{Typeflag: tar.TypeReg, Name: "/etc/passwd", Size: 3}), 422},
		"a link":           {versionsPath, raw(tar.Header{Typeflag: tar.TypeSymlink, Name: "card.md", Linkname: "/etc/passwd"}), 422},
		"a file twice":     {versionsPath, raw(tar.Header{Typeflag: tar.TypeReg, Name: "card.md"}, tar.Header{Typeflag: tar.TypeReg, Name: "card.md"}), 422},
		"a large file":     {versionsPath, raw(tar.Header{Typeflag: tar.TypeReg, Name: "model.arrow", Size: 1<<20 + 1}), 422},
		"a large body":     {versionsPath, append(tarOf(t, whole), make([]byte, 3<<20)...), 413},
		"a file missing":   {versionsPath, with(func(g models.Files) { delete(g, models.CalibrationFile) }), 422},
		"a file too many":  {versionsPath, with(func(g models.Files) { g[models.FeaturesFile] = []byte("version: 1\n") }), 422},
		"a byte flipped":   {versionsPath, with(func(g models.Files) { g[models.ModelFile][len(g[models.ModelFile])/2] ^= 1 }), 422},
		"a hash changed": {versionsPath, with(func(g models.Files) {
			g[models.ManifestFile] = bytes.Replace(g[models.ManifestFile], []byte(`"hash": "`), []byte(`"hash": "0`), 1)
		}), 422},
		"another model":      {"/v1/models/upsell/versions", tarOf(t, whole), 400},
		"a name of no model": {"/v1/models/..%2Fchurn/versions", tarOf(t, whole), 400},
		"a version":          {"/v1/models/churn@7/versions", tarOf(t, whole), 400},
	} {
		r := f.push(t, c.path, bytes.NewReader(c.body))
		if r.status != c.status || strings.Contains(string(r.body), f.dir) {
			t.Errorf("%s: %d %s, want %d", what, r.status, r.body, c.status)
		}
	}
	wantStatus(t, f.do(t, "PUT", versionsPath, "{}"), 415)
	if versions, err := f.registry.Versions("churn"); err != nil || len(versions) != 1 {
		t.Errorf("%+v, %v", versions, err)
	}
	var left []string
	err := filepath.WalkDir(f.dir, func(path string, e os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(f.dir, path); err == nil && !strings.HasPrefix(rel, "churn/v1") {
			left = append(left, rel)
		}
		return err
	})
	if want := []string{".", "churn", "churn/.lock", "churn/aliases.json", "churn/log.jsonl"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("%v, %v; want %v", left, err, want)
	}
	if n := f.servedBy(t, "churn", "A"); n != 1 {
		t.Errorf("version %d answers", n)
	}
	wantStatus(t, f.push(t, versionsPath, bytes.NewReader(tarOf(t, whole))), 201) // and a sound one is taken
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// One version is taken in at a time, and a client that stops in the middle of one holds
// up nothing for longer than the time to read allows.
func TestPushesOneAtATime(t *testing.T) {
	f := still(t, Config{ReadTimeout: 300 * time.Millisecond}, 1)
	server := run(t, f)
	whole := tarOf(t, artifactFiles(t, "churn", 7))
	in, out := io.Pipe()
	defer out.Close()
	answer := make(chan int, 1)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	send := func(body io.Reader) (int, error) {
		r, err := http.NewRequestWithContext(t.Context(), "PUT", server.url+versionsPath, body)
		if err != nil {
			return 0, err
		}
		r.Header.Set("Content-Type", "application/x-tar")
		resp, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	go func() {
		status, err := send(in)
		if err != nil {
			status = -1 // the connection was closed
		}
		answer <- status
	}()
	if _, err := out.Write(whole[:700]); err != nil {
		t.Fatal(err)
	}
	f.eventually(t, "held", func() bool { return len(f.server.pushing) == 1 })
	if status, err := send(bytes.NewReader(whole)); err != nil || status != 503 {
		t.Errorf("%d, %v", status, err)
	}
	if status := <-answer; status != 408 && status != -1 {
		t.Errorf("the one that stopped: %d", status)
	}
	f.eventually(t, "free", func() bool { return len(f.server.pushing) == 0 })
	if status, err := send(bytes.NewReader(whole)); err != nil || status != 201 {
		t.Errorf("%d, %v", status, err)
	}
}

// A version that is damaged is not handed on.
func TestFilesOfAVersion(t *testing.T) {
	f := still(t, Config{}, 2)
	r := wantStatus(t, f.get(t, versionsPath+"/2/files"), 200)
	files, err := registry.ReadTar(bytes.NewReader(r.body), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	want, err := f.registry.Read("churn", 2)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, files); d != "" {
		t.Error(d)
	}
	f.damage(t, "churn", 2, models.CardFile)
	wantStatus(t, f.get(t, versionsPath+"/2/files"), 503)
	for path, status := range map[string]int{"/9/files": 404, "/0/files": 400, "/x/files": 400, "/02/files": 400, "/champion/files": 400} {
		wantStatus(t, f.get(t, versionsPath+path), status)
	}
	wantStatus(t, f.get(t, "/v1/models/none/versions/1/files"), 404)
	wantStatus(t, f.get(t, "/v1/models/none/versions"), 404)
}

// A version goes that nothing points at, at once also where it was asked for by number.
func TestVersionIsDeleted(t *testing.T) {
	f := still(t, Config{}, 4)
	wantStatus(t, f.do(t, "PUT", "/v1/models/churn/aliases/challenger", `{"version": 3}`), 200)
	wantStatus(t, f.do(t, "PUT", canaryPath, `{"version": 4, "share": 0.1}`), 200)
	if n := f.servedBy(t, "churn@2", "A"); n != 2 {
		t.Fatal(n)
	}
	for version, status := range map[string]int{"1": 409, "2": 204, "3": 409, "4": 409, "9": 404, "0": 400, "x": 400} {
		wantStatus(t, f.do(t, "DELETE", versionsPath+"/"+version, ""), status)
	}
	wantStatus(t, f.score(t, "churn@2", requestOf("A", wholeRow)), 404)
	if got := decodeAs[pushedAnswer](t, wantStatus(t, f.push(t, versionsPath, bytes.NewReader(tarOf(t, artifactFiles(t, "churn", 2)))), 201).body); got.Version != 5 {
		t.Errorf("%+v", got)
	}
}

// A client that goes away while its version is checked leaves the version whole or not
// there.
func TestPushGivenUp(t *testing.T) {
	f := still(t, Config{}, 1)
	whole := tarOf(t, artifactFiles(t, "churn", 7))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "PUT", versionsPath, bytes.NewReader(whole))
	r.Header.Set("Content-Type", "application/x-tar")
	w := httptest.NewRecorder()
	f.server.Handler().ServeHTTP(w, r)
	versions, err := f.registry.Versions("churn")
	if err != nil || len(versions) != 1 || w.Code < 400 {
		t.Errorf("%d %s: %+v, %v", w.Code, w.Body, versions, err)
	}
}

// Whatever is sent as a version, the answer is a status that is documented, and a version
// that is there afterwards is sound.
func FuzzPutVersion(f *testing.F) {
	r := registry.Open(f.TempDir())
	s, err := New(Config{Registry: r, Poll: time.Hour, MaxVersionBytes: 1 << 20})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	whole := tarOf(f, artifactFiles(f, "churn", 1))
	f.Add(whole)
	f.Add(whole[:5000])
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, body []byte) {
		q := httptest.NewRequestWithContext(t.Context(), "PUT", versionsPath, bytes.NewReader(body))
		q.Header.Set("Content-Type", "application/x-tar")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, q)
		switch w.Code {
		case 200, 201:
			got := decodeAs[pushedAnswer](t, w.Body.Bytes())
			if err := r.Verify("churn", got.Version); err != nil {
				t.Fatal(err)
			}
		case 400, 413, 422:
		default:
			t.Fatal(fmt.Sprint(w.Code, " ", w.Body))
		}
	})
}
