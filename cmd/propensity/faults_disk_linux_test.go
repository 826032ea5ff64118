package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// onDisk makes a small disk the working directory, with a trained model on it; "": the test
// was run elsewhere.
func onDisk(t *testing.T) (dir string) {
	t.Helper()
	if !asRoot(t) {
		return ""
	}
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("a disk cannot be made here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	t.Chdir(dir)
	trainChurn(t)
	return dir
}

// On a disk that is full the server scores, says that scores wait for the ledger, refuses
// outcomes and to move an alias, and goes on by itself once there is room.
func TestServeFullDisk(t *testing.T) {
	dir := onDisk(t)
	if dir == "" {
		return
	}
	server, _ := serveWith(t)
	until(t, "ready", ready(t, server, `"causes":[]`))
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 1<<16); ; {
		if n, err := f.Write(block); err != nil {
			if len(block) == 1 {
				break
			}
			block = block[:max(1, (len(block)-n)/2)]
		}
	}
	f.Close()
	body := `{"id": "1", "model": "churn", "account": "` + strings.Repeat("A", 400) + `", "positive": true, "occurred_at": "2026-03-20T00:00:00Z"}`
	refused := false
	for range 200 { // what the ledger's files have room for is taken
		if status := postJSON(http.DefaultClient, server+"/v1/models/churn/score", faultRow); status != http.StatusOK {
			t.Fatalf("a score: %d", status)
		}
		body = strings.Replace(body, `"id": "`, `"id": "x`, 1)
		if status := postJSON(http.DefaultClient, server+"/v1/outcomes", body); status == http.StatusServiceUnavailable || status == http.StatusInsufficientStorage {
			refused = true
			break
		} else if status != http.StatusOK {
			t.Fatalf("an outcome: %d", status)
		}
	}
	if !refused {
		t.Fatal("outcomes were taken all the same")
	}
	until(t, "said", func() bool {
		_ = postJSON(http.DefaultClient, server+"/v1/models/churn/score", faultRow)
		code, text := get(t, server+"/readyz")
		return code == http.StatusOK && strings.Contains(text, "scores wait for it")
	})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	until(t, "an outcome", func() bool { return postJSON(http.DefaultClient, server+"/v1/outcomes", body) == http.StatusOK })
	until(t, "well", ready(t, server, `"causes":[]`))
}

// On a disk that may only be read the server does not start with a ledger there, and says
// why; without one it serves.
func TestServeReadOnlyDisk(t *testing.T) {
	dir := onDisk(t)
	if dir == "" {
		return
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("a disk cannot be made one to read only: %v", err)
	}
	mentions(t, must(t, exitFailed, "serve", "--addr", "127.0.0.1:0").err, "--ledger", "ledger.db")
	server, _ := serveWith(t, "--ledger", "off")
	until(t, "ready", ready(t, server, `"causes":[]`))
	if status := postJSON(http.DefaultClient, server+"/v1/models/churn/score", faultRow); status != http.StatusOK {
		t.Errorf("a score: %d", status)
	}
}
