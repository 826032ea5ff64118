package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

const (
	aliasesFile = "aliases.json"
	maxAliases  = 1 << 20 // bytes
)

// parseAliases reads an object of versions by alias, and nothing else.
func parseAliases(b []byte) (map[string]int, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("want an object of versions by alias, got %.80q", b)
	}
	out := make(map[string]int)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		alias, _ := key.(string)
		if err := checkAlias(alias); err != nil {
			return nil, err
		}
		if _, twice := out[alias]; twice {
			return nil, fmt.Errorf("alias %q stands there twice", alias)
		}
		value, err := d.Token()
		if err != nil {
			return nil, err
		}
		text, _ := value.(json.Number)
		n, ok := parseNumber(text.String())
		if !ok {
			return nil, fmt.Errorf("alias %q has the version %v", alias, value)
		}
		out[alias] = n
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if t, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%v follows its end", t)
	}
	return out, nil
}

func formatAliases(aliases map[string]int) ([]byte, error) {
	b, err := json.MarshalIndent(aliases, "", "  ") // keys come sorted
	return append(b, '\n'), err
}

// Promote points an alias at a version, once that version has been loaded and
// has replayed its own rows: one that fails is refused. The alias moves in one
// step that readers see whole. Where it already points there, nothing changes
// and nothing is logged.
func (r *Registry) Promote(ctx context.Context, name string, version int, alias string, e Event) error {
	_, err := r.promote(ctx, name, version, alias, nil, e)
	return err
}

// PromoteFrom is Promote if the alias is at the version from, 0 for one that is not
// there; if it is not, the error is ErrMoved.
func (r *Registry) PromoteFrom(ctx context.Context, name string, from, version int, alias string, e Event) error {
	_, err := r.promote(ctx, name, version, alias, &from, e)
	return err
}

func (r *Registry) promote(ctx context.Context, name string, version int, alias string, from *int, e Event) (previous int, err error) {
	if err := errors.Join((Ref{Name: name, Version: version}).check(), checkAlias(alias)); err != nil {
		return 0, err
	}
	if _, err := r.Resolve(Ref{Name: name, Version: version}); err != nil {
		return 0, err
	}
	w, err := r.begin(ctx, name)
	if err != nil {
		return 0, err
	}
	defer w.end()
	if previous = w.aliases[alias]; from != nil && previous != *from {
		return previous, fmt.Errorf("alias %q of model %q is at version %d, not at %d: %w", alias, name, previous, *from, ErrMoved)
	}
	return previous, w.move(ctx, ActionPromote, alias, version, e)
}

// Rollback points an alias back at the version that had it before, by the log,
// and loads and replays that version first, as Promote does. Called again, it
// goes back further: what was rolled back is not returned to. Versions deleted
// since are passed over; with none left the error is ErrNotFound.
func (r *Registry) Rollback(ctx context.Context, name, alias string, e Event) (from, to int, err error) {
	found, err := r.Resolve(Ref{Name: name, Alias: alias})
	if err != nil {
		return 0, 0, err
	}
	w, err := r.begin(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	defer w.end()
	if from = w.aliases[alias]; from == 0 {
		from = found.Version
	}
	stack := holders(w.log, alias)
	for k := len(stack) - 2; k >= 0 && to == 0; k-- {
		if stack[k] != from && slices.Contains(w.numbers, stack[k]) {
			to = stack[k]
		}
	}
	if to == 0 {
		return from, 0, fmt.Errorf("alias %q of model %q has version %d, and no version that had it before is still there: %w: promote one", alias, name, from, ErrNotFound)
	}
	return from, to, w.move(ctx, ActionRollback, alias, to, e)
}

// move points an alias at a version and logs it. If the log cannot be written,
// the alias is put back.
func (w *writer) move(ctx context.Context, action, alias string, version int, e Event) error {
	hash, err := w.r.verify(w.name, version, w.log)
	if err != nil {
		return fmt.Errorf("%s refused: %w", action, err)
	}
	previous := w.aliases[alias]
	if previous == version {
		return nil
	}
	entry := w.entry(action, version, e)
	entry.Alias, entry.Previous, entry.Hash = alias, previous, hash
	line, err := entry.line()
	if err != nil {
		return err
	}
	next := maps.Clone(w.aliases)
	next[alias] = version
	if err := w.writeAliases(ctx, next, entry, line); err != nil {
		return fmt.Errorf("model %q: alias %q stays: %w", w.name, alias, err)
	}
	return nil
}

// Unalias takes an alias away and gives the version it had; the version stays. One
// that is not there is ErrNotFound.
func (r *Registry) Unalias(ctx context.Context, name, alias string, e Event) (version int, err error) {
	if _, err := r.Resolve(Ref{Name: name, Alias: alias}); err != nil {
		return 0, err
	}
	w, err := r.begin(ctx, name)
	if err != nil {
		return 0, err
	}
	defer w.end()
	version, ok := w.aliases[alias]
	if !ok {
		return 0, fmt.Errorf("alias %q of model %q was taken away meanwhile: %w", alias, name, ErrNotFound)
	}
	entry := w.entry(ActionUnalias, version, e)
	entry.Alias, entry.Previous, entry.Hash = alias, version, publications(w.log)[version].Hash
	line, err := entry.line()
	if err != nil {
		return 0, err
	}
	next := maps.Clone(w.aliases)
	delete(next, alias)
	if err := w.writeAliases(ctx, next, entry, line); err != nil {
		return 0, fmt.Errorf("model %q: alias %q stays: %w", name, alias, err)
	}
	return version, nil
}

// writeAliases puts aliases in the place of the present ones and logs the change. What
// they are afterwards ends a canary against another champion.
func (w *writer) writeAliases(ctx context.Context, next map[string]int, entry Entry, line []byte) error {
	var was []byte
	if len(w.aliases) > 0 {
		var err error
		if was, err = formatAliases(w.aliases); err != nil {
			return err
		}
	}
	now, err := formatAliases(next)
	if err != nil {
		return err
	}
	if err := w.replace(ctx, aliasesFile, was, now, entry, line); err != nil {
		return err
	}
	w.aliases = next
	_ = w.settleCanary() // else the next writer does
	return nil
}

// replace puts a small file of the model in the place of the present one, in one step
// that readers see whole, and logs the change; nil stands for no file. If the log cannot
// be written, the former one is put back: it was written beforehand, so that a full disk
// cannot hinder it.
func (w *writer) replace(ctx context.Context, file string, was, now []byte, entry Entry, line []byte) (err error) {
	path, temp, old := w.path(file), w.path(newFile(file)), w.path(undoFile(file))
	defer func() {
		os.Remove(temp) // else the next writer does
		os.Remove(old)
	}()
	undo := func() error { return w.sync(os.Remove(path)) }
	if was != nil {
		if err := writeFile(old, was); err != nil {
			return err
		}
		undo = func() error { return w.sync(os.Rename(old, path)) }
	}
	if now != nil {
		if err := writeFile(temp, now); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if now != nil {
		err = os.Rename(temp, path)
	} else {
		err = os.Remove(path)
	}
	if err != nil {
		return err
	}
	if err := syncDir(w.dir); err != nil {
		return errors.Join(err, undo())
	}
	if err := w.append(entry, line); err != nil {
		return errors.Join(err, undo())
	}
	return nil
}

func newFile(file string) string  { return "." + strings.TrimSuffix(file, ".json") + "-new.json" }
func undoFile(file string) string { return "." + strings.TrimSuffix(file, ".json") + "-undo.json" }
