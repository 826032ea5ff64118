package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// In a root directory that holds nothing but the program, by a user who owns nothing else,
// it trains, checks and serves.
func TestReleasedAlone(t *testing.T) {
	path := released(t)
	if !asRoot(t) {
		return
	}
	const nobody = 65534
	namespace := os.Getenv(inNamespace) != "" // whose root has no rights but its user's
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
	if !namespace {
		if err := os.Chown(filepath.Join(root, "data"), nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	command := func(args ...string) *exec.Cmd {
		c := exec.Command("/propensity", args...)
		c.Dir, c.Env = "/data", []string{}
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		if !namespace {
			c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		}
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
