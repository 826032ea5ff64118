// Package online keeps the facts of accounts live, and makes rows of them at the
// present moment: the same engine, on the facts of one account, that makes the rows
// of training. A store keeps facts, never aggregates.
package online

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"propensity/datasets"
	"propensity/features/facts"
)

var (
	// ErrFact is wrapped by errors about a fact that no store takes.
	ErrFact = errors.New("unusable fact")
	// ErrUnavailable is wrapped by errors of a store that does not answer at present:
	// what it was asked may have been done or not, and can be asked again.
	ErrUnavailable = errors.New("the store of facts is not available")
	// ErrURL is wrapped by errors of Open about the address itself.
	ErrURL = errors.New("no address of a store")
)

// Store keeps facts by account. It may be used by several goroutines, and, but for
// the one in memory, by several servers at once.
type Store interface {
	// Append adds all of the facts or, with an error, none that was not there. When it
	// returns nil they outlive the process (but in memory), each kind of store as it
	// says. It may be asked again at any time: a version of a fact that is there (the
	// same source, account, id, arrival and content) changes nothing.
	//
	// A fact whose Arrived is datasets.MissingTime arrives now. If it says what the
	// newest version of it says, nothing changes, and that arrival stands; otherwise it
	// is a further version, arrived after the others even if the clock was set back.
	//
	// Errors wrap ErrFact, about the first unusable fact, ErrUnavailable or the error
	// of ctx, after which the facts may have been added.
	Append(ctx context.Context, list []facts.Fact) error
	// Facts gives all versions of those facts of an account that since asks for,
	// ordered by source, id, arrival and content; none of an account that is not known.
	Facts(ctx context.Context, account string, since Since) ([]facts.Fact, error)
	// Close waits for what is being written.
	Close() error
}

// Since tells which facts are asked for: those of which it keeps a version. End is
// datasets.MissingTime if it has not come. Nil asks for all.
type Since func(source string, occurred, end int64) bool

// versioned is a store that counts the changes of accounts, so that what was made of
// their facts can be kept.
type versioned interface {
	// versions gives a number for each account, another one whenever facts of it have
	// been added since, by whatever server.
	versions(ctx context.Context, accounts []string) ([]uint64, error)
}

// Open opens a store: memory:, sqlite:PATH (made if it is not there),
// postgres://... or redis://....
//
// In memory, facts end with the process. SQLite has them on disk: it is written
// ahead and synced before Append returns, and the calls that wait at the same time
// share one sync. Postgres has them committed, Redis as durably as its appendfsync
// says: with everysec, its default, a machine that fails loses up to a second.
//
// In the address, ${env:NAME} stands for a variable of the environment and ${file:PATH}
// for what is in a file, so that no secret need be written out.
func Open(ctx context.Context, address string) (Store, error) {
	url, err := ExpandAddress(address)
	if err != nil {
		return nil, err
	}
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "memory":
		if rest != "" {
			return nil, fmt.Errorf("%w: memory: takes nothing after it", ErrURL)
		}
		return NewMemory(), nil
	case "sqlite":
		return openSQLite(ctx, strings.TrimPrefix(rest, "//"))
	case "postgres", "postgresql":
		return openPostgres(ctx, url)
	case "redis", "rediss", "unix":
		return openRedis(ctx, url)
	}
	// The address itself may hold a password: only its scheme is shown.
	return nil, fmt.Errorf("%w: %q: it is none of memory:, sqlite:PATH, postgres:// and redis:// addresses", ErrURL, scheme+":...")
}

// Limits of what a store takes, in bytes; MaxAppend in facts.
const (
	MaxAppend  = 100_000
	MaxSource  = 255
	MaxAccount = 512
	MaxID      = 1024
	MaxContent = 1 << 20 // of the values of one fact, as they are kept
)

// Check says what is wrong with a fact that no store takes.
func Check(f *facts.Fact) error {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%w of source %q, account %q, id %q: %s", ErrFact, clip(f.Source), clip(f.Account), clip(f.ID), fmt.Sprintf(format, args...))
	}
	for _, part := range []struct {
		name, text string
		most       int
	}{{"source", f.Source, MaxSource}, {"account", f.Account, MaxAccount}, {"id", f.ID, MaxID}} {
		switch {
		case part.text == "":
			return fault("its %s is empty", part.name)
		case len(part.text) > part.most:
			return fault("its %s is longer than %d bytes", part.name, part.most)
		}
	}
	if strings.IndexByte(f.Source, 0) >= 0 {
		return fault("its source has a zero byte")
	}
	if f.Arrived == facts.Never {
		return fault("it never arrives")
	}
	for name, v := range f.Values {
		if v.Kind > datasets.Text {
			return fault("%s is of %v", clip(name), v.Kind)
		}
	}
	return nil
}

// clip keeps what a client sent from flooding a message.
func clip(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
