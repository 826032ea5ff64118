package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	lockFile = ".lock"
	// What a writer makes on its way; one of these found by a writer that has
	// the lock was left by one that was interrupted.
	publishTemp = ".publish-"
	deleteTemp  = ".delete-"
	aliasTemp   = ".aliases-"
	canaryTemp  = ".canary-"
)

// writer holds the lock of one model and what stood there when it took it,
// after repairs.
type writer struct {
	r         *Registry
	name, dir string
	unlock    func() error

	log     []Entry
	logSize int64
	aliases map[string]int
	canary  Canary
	numbers []int
}

// begin takes the lock of a model whose directory is there, waiting until ctx
// is done, and repairs what interrupted writers left.
func (r *Registry) begin(ctx context.Context, name string) (*writer, error) {
	w := &writer{r: r, name: name, dir: r.modelDir(name)}
	var err error
	if w.unlock, err = lock(ctx, w.path(lockFile)); err != nil {
		return nil, err
	}
	if err = ctx.Err(); err == nil {
		err = w.recover()
	}
	if err != nil {
		return nil, errors.Join(err, w.unlock())
	}
	return w, nil
}

// end gives up the lock. All was written and synced before: a failure to close
// changes nothing.
func (w *writer) end() { _ = w.unlock() }

func (w *writer) path(file string) string { return filepath.Join(w.dir, file) }

// entry starts the log entry of a change.
func (w *writer) entry(action string, version int, e Event) Entry {
	return Entry{
		Time: time.Now().UTC().Truncate(time.Microsecond), Action: action, Version: version,
		Actor: e.Actor, Note: e.Note, Facts: e.Facts,
	}
}

// next is a number that no version ever had: above all that are there and all
// that the log knows.
func (w *writer) next() (int, error) {
	n := 0
	for _, e := range w.log {
		n = max(n, e.Version, e.Previous)
	}
	names, err := os.ReadDir(w.dir)
	if err != nil {
		return 0, err
	}
	for _, e := range names { // a file in the place of a version counts too
		if k, ok := parseVersionName(e.Name()); ok {
			n = max(n, k)
		}
	}
	if n == maxVersion {
		return 0, fmt.Errorf("%s: no version number is left after %d", w.dir, n)
	}
	return n + 1, nil
}

// append adds one entry to the log in one write. If that fails the log is as
// before.
func (w *writer) append(e Entry, line []byte) error {
	path := w.path(logFile)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(line)
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		err = errors.Join(err, file.Truncate(w.logSize))
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if w.logSize == 0 {
		if err := syncDir(w.dir); err != nil {
			return err
		}
	}
	w.log, w.logSize = append(w.log, e), w.logSize+int64(len(line))
	return nil
}

// recover brings a model back to order under the lock: a torn end of the log is
// cut off, leftovers are removed, and the log catches up with the directory.
func (w *writer) recover() error {
	var err error
	if w.log, w.logSize, err = readLog(w.path(logFile)); err != nil {
		return err
	}
	if info, err := os.Lstat(w.path(logFile)); err == nil && info.Size() > w.logSize {
		// Its writer was not told that it had succeeded, and what it had done
		// is logged below.
		if err := os.Truncate(w.path(logFile), w.logSize); err != nil {
			return err
		}
	}
	if err := w.sweep(); err != nil {
		return err
	}
	if w.numbers, err = w.r.numbers(w.name); err != nil {
		return err
	}
	if w.aliases, err = readAliases(w.path(aliasesFile)); err != nil {
		return err
	}
	if w.canary, err = readCanary(w.path(canaryFile)); err != nil {
		return err
	}
	return errors.Join(w.catchUp(), w.settleCanary())
}

// sweep removes what interrupted writers left. A version on its way out is
// logged as deleted, so that its number is remembered.
func (w *writer) sweep() error {
	list, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	published := publications(w.log)
	for _, e := range list {
		name := e.Name()
		if !strings.HasPrefix(name, publishTemp) && !strings.HasPrefix(name, deleteTemp) && !strings.HasPrefix(name, aliasTemp) && !strings.HasPrefix(name, canaryTemp) {
			continue
		}
		if n, ok := parseVersionName(strings.TrimPrefix(name, deleteTemp)); ok {
			p, known := published[n]
			if known || !slices.ContainsFunc(w.log, func(e Entry) bool { return e.Version == n }) {
				if err := w.log1(Entry{
					Time: modTime(e), Action: ActionDelete, Version: n, Hash: p.Hash, Recovered: true,
					Note: "its writer was interrupted before the log",
				}); err != nil {
					return err
				}
			}
		}
		if err := os.RemoveAll(w.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// catchUp logs versions, aliases and the canary where the directory shows what the log
// does not: their writers were interrupted between the two.
func (w *writer) catchUp() error {
	published := publications(w.log)
	for _, n := range w.numbers {
		if _, ok := published[n]; ok {
			continue
		}
		e, err := w.r.unlogged(w.name, n)
		if err != nil {
			return err
		}
		if err := w.log1(e); err != nil {
			return err
		}
	}
	published = publications(w.log)
	logged := maps.Clone(w.aliases) // and those that only the log knows
	for _, e := range w.log {
		if e.Alias != "" && w.aliases[e.Alias] == 0 {
			logged[e.Alias] = 0
		}
	}
	for _, alias := range slices.Sorted(maps.Keys(logged)) {
		version, previous := logged[alias], heldBy(w.log, alias)
		if version == previous {
			continue
		}
		e := Entry{Action: ActionPromote, Version: version, Alias: alias, Previous: previous}
		if version == 0 {
			e.Action, e.Version = ActionUnalias, previous
		}
		e.Hash = published[e.Version].Hash
		if err := w.recovered(aliasesFile, e); err != nil {
			return err
		}
	}
	if now, was := w.canary, canaryOf(w.log); now.Version != was.Version || now.Share != was.Share {
		e := Entry{Action: ActionCanary, Version: cmp.Or(now.Version, was.Version), Share: now.Share}
		e.Hash = published[e.Version].Hash
		return w.recovered(canaryFile, e)
	}
	return nil
}

// recovered logs the change of a file whose writer was interrupted.
func (w *writer) recovered(file string, e Entry) error {
	e.Time, e.Recovered, e.Note = time.Now().UTC().Truncate(time.Microsecond), true, "its writer was interrupted before the log"
	info, err := os.Lstat(w.path(file))
	switch {
	case err == nil:
		e.Time = info.ModTime().UTC()
	case !errors.Is(err, fs.ErrNotExist): // of a file that is gone, nothing tells when
		return err
	}
	return w.log1(e)
}

// log1 logs one recovered entry.
func (w *writer) log1(e Entry) error {
	line, err := e.line()
	if err != nil {
		return err
	}
	return w.append(e, line)
}

func modTime(e fs.DirEntry) time.Time {
	info, err := e.Info()
	if err != nil {
		return time.Now().UTC()
	}
	return info.ModTime().UTC()
}

// sync makes a change of the model's directory last, unless it failed already.
func (w *writer) sync(err error) error {
	if err != nil {
		return err
	}
	return syncDir(w.dir)
}

// writeFile writes a new file to the disk; the caller syncs its directory.
func writeFile(path string, b []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// makeDir makes a directory and those above it, each of them lasting.
func makeDir(path string) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", path)
		}
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}
