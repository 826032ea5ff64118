package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"pgregory.net/rapid"
)

// The vector of the official libraries' own tests.
func TestSignatureOfTheOfficialVector(t *testing.T) {
	got, err := sign([]string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

func TestOfficialLibraryVerifies(t *testing.T) {
	now := time.Now()
	rapid.Check(t, func(t *rapid.T) {
		secrets := []string{newSecret(), newSecret()}[:rapid.IntRange(1, 2).Draw(t, "secrets")]
		id, body := newID("msg_", now.UnixMicro()), rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		signature, err := sign(secrets, id, now.Unix(), body)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		h.Set("webhook-id", id)
		h.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		h.Set("webhook-signature", signature)
		for _, secret := range secrets {
			hook, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := hook.Verify(body, h); err != nil {
				t.Fatal(err)
			}
			if hook.Verify(append(body, '.'), h) == nil {
				t.Fatal("another body verifies")
			}
		}
		if other, _ := standardwebhooks.NewWebhook(newSecret()); other.Verify(body, h) == nil {
			t.Fatal("another key verifies")
		}
	})
}

// verifyScript is what a receiver in Python does.
const verifyScript = `
import json, sys
from standardwebhooks import Webhook
q = json.load(sys.stdin)
for secret in q["secrets"]:
    print(Webhook(secret).verify(q["body"], q["headers"])["type"])
try:
    Webhook(q["secrets"][0]).verify(q["body"] + " ", q["headers"])
    print("a changed body verifies")
except Exception:
    pass
`

// What is really sent, with the real clock, is verified by the official Python library.
func TestOfficialPythonLibraryVerifies(t *testing.T) {
	python := os.Getenv("PROPENSITY_CLIENTS")
	if python == "" {
		t.Skip("PROPENSITY_CLIENTS names no Python")
	}
	type request struct {
		Secrets []string          `json:"secrets"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	c := &clock{at: time.Now()}
	n, r := newNotifier(sqlite(t), c), newReceiver(t, c)
	headers := make(chan http.Header, 1)
	r.answers(func(_ http.ResponseWriter, q *http.Request) { headers <- q.Header })
	e := r.add(t, n, Endpoint{})
	first := r.secrets[0]
	_, second, err := n.Rotate(context.Background(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	event := bandChanged("Ü-17 <&> \u2028", "churn")
	event.At = c.now().UnixMicro()
	tell(t, n, event)
	runs(t, n)
	h := <-headers
	q := request{Secrets: []string{first, second}, Body: r.all()[0].body, Headers: map[string]string{}}
	for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		q.Headers[name] = h.Get(name)
	}
	in, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", verifyScript)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if want := TypeBandChanged + "\n" + TypeBandChanged + "\n"; err != nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	last := ""
	for us := int64(0); us < 100_000; us += 1000 {
		id := newID("msg_", us)
		if len(id) != 4+26 || strings.Contains(id, ".") || seen[id] || id < last {
			t.Fatalf("%q after %q", id, last)
		}
		seen[id], last = true, id
	}
}

func FuzzKeyOf(f *testing.F) {
	f.Add("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	f.Add("whsec_")
	f.Add("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	f.Fuzz(func(t *testing.T, secret string) {
		key, err := keyOf(secret)
		if err == nil && (len(key) < 24 || len(key) > 64 || !strings.HasPrefix(secret, SecretPrefix)) {
			t.Errorf("%q is taken", secret)
		}
	})
}
