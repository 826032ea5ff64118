package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// What an entry of the log records.
const (
	ActionPublish  = "publish"
	ActionPromote  = "promote"
	ActionRollback = "rollback"
	ActionDelete   = "delete"
	ActionUnalias  = "unalias"
	ActionCanary   = "canary" // begun, its share changed or, with none, ended
)

// Event is what a caller tells of a change, for the log.
type Event struct {
	Actor string         // who: a person, a job
	Note  string         // why, in words
	Facts map[string]any // anything else: durations, the machine, the data's path; must be fit for JSON
}

// Entry is one line of the log.
type Entry struct {
	Time   time.Time `json:"time"` // UTC
	Action string    `json:"action"`
	// Version is the one published or deleted, the one an alias now has or, once it is
	// taken away, had, or the one of a canary.
	Version int `json:"version"`
	// Alias is the one that moved, Previous the version it had before; 0 none.
	Alias    string         `json:"alias,omitempty"`
	Previous int            `json:"previous,omitempty"`
	Share    float64        `json:"share,omitempty"` // of a canary; 0 ends it
	Hash     string         `json:"hash,omitempty"`  // of the version's artifact
	Actor    string         `json:"actor,omitempty"`
	Note     string         `json:"note,omitempty"`
	Facts    map[string]any `json:"facts,omitempty"`
	// Recovered says that the writer of the change was interrupted before it
	// could log it: a later writer did, from what the directory showed.
	Recovered bool `json:"recovered,omitempty"`
}

const (
	logFile = "log.jsonl"
	maxLog  = 1 << 28 // bytes
	maxLine = 1 << 20 // bytes of one entry
)

// Log reads the log of a model, oldest entry first. A last line that is torn is
// left out: it was never acknowledged. Any other line that cannot be read is
// ErrDamaged, with its number.
func (r *Registry) Log(name string) ([]Entry, error) {
	if _, err := r.numbers(name); err != nil {
		return nil, err
	}
	entries, _, err := readLog(filepath.Join(r.modelDir(name), logFile))
	return entries, err
}

// readLog reads the entries of a log and the length of the part that holds
// them. No file is no entries.
func readLog(path string) ([]Entry, int64, error) {
	b, _, err := readSmall(path, maxLog)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	entries, whole, err := parseLog(b)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	return entries, int64(whole), nil
}

// parseLog reads every line that ends, and tells how many bytes they take. What
// stands behind the last line end is torn and no entry: an entry is written
// with its line end.
func parseLog(b []byte) (entries []Entry, whole int, err error) {
	whole = bytes.LastIndexByte(b, '\n') + 1
	line := 0
	for text := range bytes.Lines(b[:whole]) {
		line++
		var e Entry
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, 0, fmt.Errorf("%w: line %d: %w", ErrDamaged, line, err)
		}
		if e.Action == "" || e.Version < 1 || e.Version > maxVersion || e.Previous < 0 {
			return nil, 0, fmt.Errorf("%w: line %d: action %q of version %d, previous %d", ErrDamaged, line, e.Action, e.Version, e.Previous)
		}
		entries = append(entries, e)
	}
	return entries, whole, nil
}

// line is the entry as it stands in the log.
func (e Entry) line() ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("log entry of a %s: %w", e.Action, err)
	}
	if b = append(b, '\n'); len(b) > maxLine {
		return nil, fmt.Errorf("log entry of a %s: %d bytes, at most %d: shorten the note or the facts", e.Action, len(b), maxLine)
	}
	return b, nil
}

// publications is what the log says is there: the entry of each version that
// was published and not deleted since.
func publications(entries []Entry) map[int]Entry {
	out := make(map[int]Entry)
	for _, e := range entries {
		switch e.Action {
		case ActionPublish:
			out[e.Version] = e
		case ActionDelete:
			delete(out, e.Version)
		}
	}
	return out
}

// heldBy is the version of an alias by the log; 0 if it has none.
func heldBy(entries []Entry, alias string) int {
	for _, e := range slices.Backward(entries) {
		if e.Alias == alias {
			if e.Action == ActionUnalias {
				return 0
			}
			return e.Version
		}
	}
	return 0
}

// holders is the history of one alias by the log: each promotion puts a version
// on top, each rollback takes off what stands above the version it went back to.
func holders(entries []Entry, alias string) []int {
	var stack []int
	for _, e := range entries {
		if e.Alias != alias {
			continue
		}
		switch e.Action {
		case ActionPromote:
			stack = append(stack, e.Version)
		case ActionRollback:
			k := len(stack) - 1
			for k > 0 && (k == len(stack)-1 || stack[k] != e.Version) {
				k--
			}
			stack = append(stack[:max(k, 0)], e.Version)
		}
	}
	return stack
}
