package notify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"propensity/datasets"
)

// Types of events. Each has data of one shape.
const (
	TypeBandChanged = "account.band_changed" // BandChanged
	TypeUsageFell   = "account.usage_fell"   // UsageFell
	TypeAliasMoved  = "model.alias_moved"    // AliasMoved
	TypeDriftFound  = "model.drift_found"    // DriftFound
	// TypeTest is what an endpoint is tested with; it cannot be asked for.
	TypeTest = "webhook.test" // Test
)

// Types are those that an endpoint may ask for.
func Types() []string {
	return []string{TypeBandChanged, TypeUsageFell, TypeAliasMoved, TypeDriftFound}
}

// maxBody bounds what is sent, in bytes: a receiver may count on less than 20 kB.
const maxBody = 20_000 - 1

// Event is something that happened.
type Event struct {
	Type    string
	Model   string // "" if it is about none
	Account string // "" if it is about none
	At      int64  // when it happened, µs since 1970 UTC
	Data    any    // fit for JSON; of the shape that Type has
}

// BandChanged says that a score took an account into another band.
type BandChanged struct {
	Account  string  `json:"account"`
	Model    string  `json:"model"`
	Version  int     `json:"version"`
	Previous string  `json:"previous_band"`
	Band     string  `json:"band"`
	Was      float64 `json:"previous_probability"`
	Is       float64 `json:"probability"`
}

// UsageFell says that a column of an account's row fell below a threshold that it was not below
// when the account was last scored.
type UsageFell struct {
	Account   string  `json:"account"`
	Model     string  `json:"model"`
	Version   int     `json:"version"`
	Column    string  `json:"column"`
	Threshold float64 `json:"threshold"`
	Was       float64 `json:"previous_value"`
	Is        float64 `json:"value"`
	AsOf      string  `json:"as_of"`
}

// AliasMoved says that an alias of a model points at another version.
type AliasMoved struct {
	Model    string `json:"model"`
	Alias    string `json:"alias"`
	Version  int    `json:"version,omitempty"`          // 0: the alias was taken away
	Previous int    `json:"previous_version,omitempty"` // 0: the alias is new
	Action   string `json:"action"`                     // promote, rollback, unalias
	Actor    string `json:"actor,omitempty"`
	Note     string `json:"note,omitempty"`
}

// DriftFound says that a version sees what it was not trained for.
type DriftFound struct {
	Model   string `json:"model"`
	Version int    `json:"version"`
	Column  string `json:"column,omitempty"` // "": the scores
	Verdict string `json:"verdict"`
	Detail  string `json:"detail"`
}

// Test is the data of a test.
type Test struct {
	Webhook string `json:"webhook"` // the endpoint's id
}

// body is the event as it is sent: {type, timestamp, data}, in one line.
func (e *Event) body() ([]byte, error) {
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	err := j.Encode(struct {
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"`
		Data      any    `json:"data"`
	}{e.Type, datasets.FormatTime(e.At), e.Data})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// accountKey is how an account stands in a table: ids of any length and with any bytes
// can be looked for, and no column has them in clear.
func accountKey(account string) string {
	if account == "" {
		return ""
	}
	h := sha256.Sum256([]byte(account))
	return hex.EncodeToString(h[:])
}

// clip shortens a text to most bytes, whole characters, and takes out what is no UTF-8
// or what a table cannot hold.
func clip(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "..."
}
