package main

import (
	"bytes"
	"debug/elf"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// released is the program as it is released, which PROPENSITY_BINARY names:
//
//	CGO_ENABLED=0 go build -trimpath -tags nomsgpack -ldflags='-s -w' ./cmd/propensity
func released(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PROPENSITY_BINARY")
	if path == "" {
		t.Skip("PROPENSITY_BINARY names no program")
	}
	return path
}

// The program is below 60 MB and needs no library.
func TestReleasedSize(t *testing.T) {
	path := released(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= 60_000_000 {
		t.Errorf("it has %.1f MB, of less than 60 (docs/decisions/0019-size.md)", float64(info.Size())/1e6)
	}
	t.Logf("%.1f MB", float64(info.Size())/1e6)
	if runtime.GOOS != "linux" {
		return
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it needs %v, %v", libraries, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it needs a dynamic linker")
		}
	}
}

// In a root directory that holds nothing but the program, by a user who owns nothing else,
// it trains, checks and serves.
func TestReleasedAlone(t *testing.T) {
	path := released(t)
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("only root of Linux can change the root directory")
	}
	const nobody = 65534
	root := t.TempDir()
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "propensity"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := root; dir != filepath.Dir(os.TempDir()) && dir != "/" && strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "data", "accounts.csv"), accountsCSV(600, 1))
	if err := os.Chown(filepath.Join(root, "data"), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) *exec.Cmd {
		c := exec.Command("/propensity", args...)
		c.Dir, c.Env = "/data", []string{}
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return c
	}
	if out, err := command("train", "churn", "--id", "id", "--label", "churned=Yes", "--learner", "logistic", "--promote", "always", "--data", "accounts.csv").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := command("serve", "--check", "--store", "sqlite:facts.db").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var log page
	server := command("serve", "--addr", "127.0.0.1:0", "--store", "sqlite:facts.db")
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Process.Kill()
	url := log.await(t, `serving on (http://\S+) `)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if code, _ := get(t, url+"/readyz"); code == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatal(log.String())
		}
	}
	row := `{"account": "A", "row": {"plan": "free", "logins": 2, "seats": 3, "annual": false, "mrr": 10}}`
	answer, err := http.Post(url+"/v1/models/churn/score", "application/json", bytes.NewBufferString(row))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), `"reasons"`) {
		t.Errorf("%d %s %v", answer.StatusCode, text, err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
}
