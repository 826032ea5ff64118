// Package keys keeps the API keys of a server in a file, of which a running server
// takes up every change with the next request: who may do what, how often, how long.
//
// A key is text, prop_ID_SECRET: the ID names it in lists and logs, the secret is 32
// random bytes and is shown once. The file has the SHA-256 of the text alone. A slow
// hash, as for passwords, would add nothing: it makes guessing dear where there are few
// guesses to try, and here there are 2^256; and every request would pay for it.
package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Scopes of a key. Admin includes all.
const (
	Read  = "read"  // models, accounts, the ledger, metrics
	Score = "score" // to score
	Write = "write" // facts, attributes, outcomes
	Admin = "admin" // versions, aliases, keys, webhooks, jobs, to forget
)

// Scopes are all there are, in order.
func Scopes() []string { return []string{Read, Score, Write, Admin} }

// Errors of a key that was presented.
var (
	// ErrUnknown: no key has this text, or it was revoked.
	ErrUnknown = errors.New("the key is not known, or was revoked")
	// ErrExpired: the key was right once.
	ErrExpired = errors.New("the key has expired")
)

// Errors of changes to the file.
var (
	// ErrKey: what was asked for cannot be a key.
	ErrKey = errors.New("no such key can be made")
	// ErrNone: no key has that ID, or it is revoked.
	ErrNone = errors.New("there is no such key")
)

const (
	prefix    = "prop_"
	idBytes   = 5 // 8 letters
	idLength  = 8
	keyLength = len(prefix) + idLength + 1 + 52 // 32 bytes are 52 letters
	maxName   = 100
	// maxSecrets bounds those of a key that is rotated again before the older ones end.
	maxSecrets = 5
	maxRate    = 1e9
)

// Key is what the file knows of one key.
type Key struct {
	ID     string   `json:"id"`   // 8 letters and digits
	Name   string   `json:"name"` // whose it is, in words
	Scopes []string `json:"scopes"`
	// Rate is how many requests a second it may make in the long run, and Burst how many
	// at once; 0: no limit.
	Rate  float64 `json:"rate,omitempty"`
	Burst int     `json:"burst,omitempty"`
	// Daily is how many scores and other requests it may have in a day of UTC; 0: no limit.
	Daily   int64     `json:"daily,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Revoked time.Time `json:"revoked,omitzero"` // zero: in use
	// Secrets are what its text may be, the newest first; none once it is revoked.
	Secrets []Secret `json:"secrets,omitempty"`
}

// Secret is one text of a key; after a rotation there are two for a while.
type Secret struct {
	Hash    string    `json:"sha256"` // of the whole text, in hexadecimal
	Created time.Time `json:"created"`
	Until   time.Time `json:"until,omitzero"` // zero: as long as the key
}

// New makes a key and its text, which is not kept. Of like it takes name, scopes,
// limits and expiry; the error is ErrKey and lists all that is wrong with them.
func New(like Key, now time.Time) (Key, string, error) {
	now = now.UTC().Truncate(time.Second)
	k := Key{
		Name: like.Name, Scopes: like.Scopes, Rate: like.Rate, Burst: like.Burst, Daily: like.Daily,
		ID: letters(idBytes), Created: now, Expires: like.Expires.UTC().Truncate(time.Second),
	}
	if k.Rate > 0 && k.Burst == 0 {
		k.Burst = max(1, int(min(2*k.Rate, maxRate)))
	}
	if like.Expires.IsZero() {
		k.Expires = time.Time{}
	} else if !k.Expires.After(now) {
		return Key{}, "", fmt.Errorf("%w: it would expire at %s, which is over", ErrKey, k.Expires.Format(time.RFC3339))
	}
	text := k.add(now)
	if err := k.check(); err != nil {
		return Key{}, "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	return k, text, nil
}

// letters are random bytes as small letters and digits, which a double click selects
// whole.
func letters(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

// add gives the key a text, and makes it the newest.
func (k *Key) add(now time.Time) string {
	text := prefix + k.ID + "_" + letters(32)
	sum := sha256.Sum256([]byte(text))
	k.Secrets = slices.Insert(k.Secrets, 0, Secret{Hash: hex.EncodeToString(sum[:]), Created: now})
	return text
}

// rotate gives the key a new text; those before hold on until the overlap is over.
func (k *Key) rotate(now time.Time, overlap time.Duration) (string, error) {
	now = now.UTC().Truncate(time.Second)
	until := now.Add(overlap)
	k.Secrets = slices.DeleteFunc(slices.Clone(k.Secrets), func(s Secret) bool { return s.over(now) })
	for i := range k.Secrets {
		if s := &k.Secrets[i]; s.Until.IsZero() || s.Until.After(until) {
			s.Until = until
		}
	}
	if overlap <= 0 {
		k.Secrets = nil
	}
	if len(k.Secrets) == maxSecrets {
		return "", fmt.Errorf("%w: %s has %d texts that hold already: let some run out, or rotate it without an overlap", ErrKey, k.ID, maxSecrets)
	}
	return k.add(now), nil
}

func (s *Secret) over(now time.Time) bool { return !s.Until.IsZero() && !now.Before(s.Until) }

// check lists all that is wrong with a key.
func (k *Key) check() error {
	var faults []error
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf(format, a...)) }
	if !isID(k.ID) {
		fault("the id %.20q is not of %d small letters and digits", k.ID, idLength)
	}
	if k.Name == "" || len(k.Name) > maxName || !utf8.ValidString(k.Name) || strings.ContainsFunc(k.Name, unicode.IsControl) {
		fault("the name %.20q is empty, longer than %d bytes, or not plain text: say whose key it is", k.Name, maxName)
	}
	if len(k.Scopes) == 0 {
		fault("it has no scope: give it some of %s", strings.Join(Scopes(), ", "))
	}
	for i, s := range k.Scopes {
		if !slices.Contains(Scopes(), s) {
			fault("%.20q is no scope: there are %s", s, strings.Join(Scopes(), ", "))
		} else if slices.Contains(k.Scopes[:i], s) {
			fault("the scope %s stands there twice", s)
		}
	}
	if !(k.Rate >= 0 && k.Rate <= maxRate) || k.Burst < 0 || k.Burst > maxRate || (k.Rate > 0) != (k.Burst > 0) {
		fault("the rate %v with a burst of %d is no limit: both are above 0, or both 0 for none", k.Rate, k.Burst)
	}
	if k.Daily < 0 {
		fault("the daily limit is %d: it is above 0, or 0 for none", k.Daily)
	}
	if n := len(k.Secrets); n > maxSecrets || (n == 0) != !k.Revoked.IsZero() {
		fault("it has %d secrets: 1 to %d, or none once it is revoked", n, maxSecrets)
	}
	for i := range k.Secrets {
		if b, err := hex.DecodeString(k.Secrets[i].Hash); err != nil || len(b) != sha256.Size {
			fault("%.20q is no SHA-256 in hexadecimal", k.Secrets[i].Hash)
		}
	}
	return errors.Join(faults...)
}

func isID(s string) bool {
	return len(s) == idLength && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '2' || r > '7') })
}

// idOf is the ID within the text of a key; false if no key looks like that.
func idOf(text string) (string, bool) {
	if len(text) != keyLength || text[:len(prefix)] != prefix || text[len(prefix)+idLength] != '_' {
		return "", false
	}
	return text[len(prefix) : len(prefix)+idLength], true
}

// find is which of the hashes a text of keyLength has, -1 if none. It compares with all
// of them, and with each in constant time.
func find(hashes [][sha256.Size]byte, text string) int {
	var whole [keyLength]byte
	copy(whole[:], text)
	sum := sha256.Sum256(whole[:])
	which := -1
	for i := range hashes {
		if subtle.ConstantTimeCompare(hashes[i][:], sum[:]) == 1 {
			which = i
		}
	}
	return which
}
