package notify

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SecretPrefix is before the base64 of a symmetric key (Standard Webhooks, "Signature
// scheme"); a key has 24 to 64 bytes.
const SecretPrefix = "whsec_"

const secretBytes = 32

// overlap is how long the old key still signs after a rotation.
const overlap = 24 * time.Hour

func newSecret() string {
	var key [secretBytes]byte
	_, _ = rand.Read(key[:]) // it never fails
	return SecretPrefix + base64.StdEncoding.EncodeToString(key[:])
}

// keyOf is the key in a secret.
func keyOf(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, SecretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("a secret is %s and the base64 of 24 to 64 bytes", SecretPrefix)
	}
	return key, nil
}

// sign makes the value of webhook-signature: v1 and the HMAC-SHA256 of id.timestamp.body
// with each of the secrets, those in use first. The timestamp is of the attempt, in seconds.
func sign(secrets []string, id string, timestamp int64, body []byte) (string, error) {
	var b strings.Builder
	for i, secret := range secrets {
		key, err := keyOf(secret)
		if err != nil {
			return "", err
		}
		h := hmac.New(sha256.New, key)
		h.Write([]byte(id + "." + strconv.FormatInt(timestamp, 10) + "."))
		h.Write(body)
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("v1," + base64.StdEncoding.EncodeToString(h.Sum(nil)))
	}
	return b.String(), nil
}
