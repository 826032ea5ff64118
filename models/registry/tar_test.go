package registry

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"propensity/models"
)

func tarOf(t testing.TB, f models.Files) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteTar(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// handmade writes entries as they are told, whatever they are.
func handmade(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What is written is read again, and by the tar of the system.
func TestTarRoundTrip(t *testing.T) {
	t.Parallel()
	f := mustArtifact(t, "churn", 1)
	b := tarOf(t, f)
	if again := tarOf(t, maps.Clone(f)); !bytes.Equal(b, again) {
		t.Error("the same files are other bytes")
	}
	got, err := ReadTar(iotest.OneByteReader(bytes.NewReader(b)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(f, got); d != "" {
		t.Error(d)
	}
	program, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("no tar on this machine")
	}
	cmd := exec.CommandContext(t.Context(), program, "-tf", "-")
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	names := strings.Fields(string(out))
	if err != nil || len(names) != len(f) || names[0] != models.ManifestFile || !slices.IsSorted(names[1:]) {
		t.Errorf("%v, %v", names, err)
	}
	// The other way: what the tar of the system makes of a version's directory.
	r := published(t, 1)
	dir := filepath.Join(r.modelDir("churn"), "v1")
	for _, format := range []string{"gnu", "ustar", "pax", "v7"} {
		args := append([]string{"-C", dir, "--format", format, "-cf", "-"}, names...)
		made, err := exec.CommandContext(t.Context(), program, args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadTar(bytes.NewReader(made), 1<<20)
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if d := cmp.Diff(f, got); d != "" {
			t.Errorf("%s: %s", format, d)
		}
	}
}

func TestHostileTars(t *testing.T) {
	t.Parallel()
	file := func(name string, size int64) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}
	}
	kind := func(typeflag byte, name, link string) tar.Header {
		return tar.Header{Typeflag: typeflag, Name: name, Linkname: link, Mode: 0o644}
	}
	whole := handmade(t, file("card.md", 700))
	for what, b := range map[string][]byte{
		"nothing":             {},
		"no tar":              []byte(strings.Repeat("no tar at all ", 100)),
		"no files":            handmade(t),
		"a path up":           handmade(t, file("../card.md", 3)),
		"a path from root":    handmade(t, file("/etc/cron.d/card.md", 3)),
		"a folder":            handmade(t, file("v7/card.md", 3)),
		"a dot":               handmade(t, file("./card.md", 3)),
		"backslashes":         handmade(t, file(`..\card.md`, 3)),
		"a directory":         handmade(t, kind(tar.TypeDir, "card.md/", "")),
		"a symbolic link":     handmade(t, kind(tar.TypeSymlink, "card.md", "/etc/passwd")),
		"a hard link":         handmade(t, file("card.md", 3), kind(tar.TypeLink, "report.html", "card.md")),
		"a device":            handmade(t, kind(tar.TypeChar, "card.md", "")),
		"a pipe":              handmade(t, kind(tar.TypeFifo, "card.md", "")),
		"a file twice":        handmade(t, file("card.md", 3), file("card.md", 3)),
		"an empty file twice": handmade(t, file("card.md", 0), file("card.md", 0)),
		"another file":        handmade(t, file("card.md", 3), file("run.sh", 3)),
		"a long name":         handmade(t, file(strings.Repeat("a", 5000), 3)),
		"a name by a PAX record": handmade(t, tar.Header{Typeflag: tar.TypeReg, Name: "../card.md" + strings.Repeat("/x", 200),
			Size: 3, Format: tar.FormatPAX}),
		"a large file":          handmade(t, file("card.md", 2001)),
		"large together":        handmade(t, file("card.md", 1001), file("report.html", 1000)),
		"an end that is none":   append(bytes.Clone(whole), "more"...),
		"cut within a file":     whole[:1000],
		"cut within a header":   whole[:300],
		"a checksum":            append([]byte{whole[0] ^ 1}, whole[1:]...),
		"a sparse file of 1 TB": sparseTar(1 << 40),
		"a small sparse file":   sparseTar(1500),
	} {
		if f, err := ReadTar(bytes.NewReader(b), 2000); !errors.Is(err, ErrTar) {
			t.Errorf("%s: %d files, %v", what, len(f), err)
		}
	}
	if _, err := ReadTar(bytes.NewReader(handmade(t, file("card.md", 1000), file("report.html", 1000))), 2000); err != nil {
		t.Errorf("as large as may be: %v", err)
	}
	if _, err := ReadTar(io.MultiReader(bytes.NewReader(whole[:1000]), iotest.ErrReader(os.ErrDeadlineExceeded)), 2000); !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrTar) {
		t.Errorf("a stream that breaks off: %v", err)
	}
}

// sparseTar is a GNU sparse file by PAX records (format 1.0): a header and a map of no
// data, a few hundred bytes that stand for as many zeros as they like.
func sparseTar(realSize int) []byte {
	record := func(key, value string) string {
		for n := len(key) + len(value) + 3; ; n++ {
			if s := fmt.Sprintf("%d %s=%s\n", n, key, value); len(s) == n {
				return s
			}
		}
	}
	records := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") +
		record("GNU.sparse.name", "card.md") + record("GNU.sparse.realsize", strconv.Itoa(realSize))
	block := func(text string) []byte { return append([]byte(text), make([]byte, 512-len(text)%512)...) }
	header := func(name string, typeflag byte, size int) []byte {
		h := make([]byte, 512)
		copy(h, name)
		copy(h[100:], "0000644\x00")
		copy(h[108:], "0000000\x000000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x00", size))
		copy(h[136:], "00000000000\x00        ")
		h[156] = typeflag
		copy(h[257:], "ustar\x0000")
		sum := 0
		for _, b := range h {
			sum += int(b)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		return h
	}
	var b []byte
	b = append(b, header("PaxHeaders/card.md", tar.TypeXHeader, len(records))...)
	b = append(b, block(records)...)
	b = append(b, header("GNUSparseFile.0/card.md", tar.TypeReg, 512)...)
	b = append(b, block(fmt.Sprintf("1\n%d\n0\n", realSize))...)
	return append(b, make([]byte, 1024)...)
}

// The sparse file above is one to the library, or the test would show nothing.
func TestSparseTarIsOne(t *testing.T) {
	h, err := tar.NewReader(bytes.NewReader(sparseTar(1 << 40))).Next()
	if err != nil || h.Size != 1<<40 || h.Name != "card.md" || !sparse(h) {
		t.Errorf("%+v, %v", h, err)
	}
}

// Import publishes an artifact once, whatever its number is elsewhere.
func TestImport(t *testing.T) {
	t.Parallel()
	r := published(t, 3)
	ctx := t.Context()
	for k, want := range map[int]int{1: 1, 3: 3} {
		if n, fresh, err := r.Import(ctx, "churn", mustArtifact(t, "churn", k), Event{}); err != nil || n != want || fresh {
			t.Errorf("artifact %d: version %d, %v, %v", k, n, fresh, err)
		}
	}
	n, fresh, err := r.Import(ctx, "churn", mustArtifact(t, "churn", 4), Event{Actor: "ann"})
	if err != nil || n != 4 || !fresh {
		t.Fatalf("%d, %v, %v", n, fresh, err)
	}
	if entries, err := r.Log("churn"); err != nil || len(entries) != 4 || entries[3].Actor != "ann" {
		t.Errorf("%+v, %v", entries, err)
	}
	// A version that is damaged is no copy of it.
	path := filepath.Join(r.modelDir("churn"), "v3", models.CardFile)
	if err := os.WriteFile(path, []byte("# Spoilt\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, fresh, err := r.Import(ctx, "churn", mustArtifact(t, "churn", 3), Event{}); err != nil || n != 5 || !fresh {
		t.Errorf("%d, %v, %v", n, fresh, err)
	}
	// Nor is one that was deleted.
	if err := r.Delete(ctx, "churn", 4, Event{}); err != nil {
		t.Fatal(err)
	}
	if n, fresh, err := r.Import(ctx, "churn", mustArtifact(t, "churn", 4), Event{}); err != nil || n != 6 || !fresh {
		t.Errorf("%d, %v, %v", n, fresh, err)
	}
	checkRefused := func(f models.Files, want error) {
		t.Helper()
		if n, _, err := r.Import(ctx, "churn", f, Event{}); !errors.Is(err, want) || n != 0 {
			t.Errorf("%d, %v, want %v", n, err, want)
		}
	}
	checkRefused(mustArtifact(t, "other", 1), ErrReference)
	spoilt := mustArtifact(t, "churn", 7)
	spoilt[models.ModelFile] = bytes.Clone(spoilt[models.ModelFile])
	spoilt[models.ModelFile][len(spoilt[models.ModelFile])/2] ^= 1
	checkRefused(spoilt, models.ErrDamaged)
	if versions, err := r.Versions("churn"); err != nil || versions[len(versions)-1].Number != 6 {
		t.Errorf("%+v, %v", versions, err)
	}
}

// Whatever is read holds to the limits and is written back the same.
func FuzzReadTar(f *testing.F) {
	small, err := smallArtifact("churn", 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(tarOf(f, models.Files{"card.md": []byte("# Card\n"), "manifest.json": nil}))
	f.Add(tarOf(f, small)[:3000])
	f.Add(sparseTar(1 << 40))
	f.Add(sparseTar(1500))
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 1 << 16
		files, err := ReadTar(bytes.NewReader(b), most)
		if err != nil {
			if !errors.Is(err, ErrTar) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		size := 0
		for name, text := range files {
			if size += len(text); !slices.Contains(fileNames(), name) {
				t.Fatalf("file %q", name)
			}
		}
		if size > most || size > len(b) {
			t.Fatalf("%d bytes of a tar of %d", size, len(b))
		}
		again, err := ReadTar(bytes.NewReader(tarOf(t, files)), most)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(files, again); d != "" {
			t.Fatal(d)
		}
	})
}
