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
	"path/filepath"
	"slices"
)

const (
	aliasesFile = "aliases.json"
	aliasesTemp = ".aliases-new.json"
	aliasesUndo = ".aliases-undo.json"
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
	if err := errors.Join((Ref{Name: name, Version: version}).check(), checkAlias(alias)); err != nil {
		return err
	}
	if _, err := r.Resolve(Ref{Name: name, Version: version}); err != nil {
		return err
	}
	w, err := r.begin(ctx, name)
	if err != nil {
		return err
	}
	defer w.end()
	return w.move(ctx, ActionPromote, alias, version, e)
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
	undo, err := w.replaceAliases(ctx, alias, version)
	if err != nil {
		return fmt.Errorf("model %q: alias %q stays: %w", w.name, alias, err)
	}
	if err := w.append(entry, line); err != nil {
		return fmt.Errorf("model %q: alias %q stays: %w", w.name, alias, errors.Join(err, undo()))
	}
	w.aliases[alias] = version
	os.Remove(w.path(aliasesUndo)) // else the next writer does
	return nil
}

// replaceAliases writes aliases.json anew. Undo puts the former one back: it was
// written beforehand, so that a full disk cannot hinder it.
func (w *writer) replaceAliases(ctx context.Context, alias string, version int) (undo func() error, err error) {
	defer func() {
		if err != nil {
			os.Remove(w.path(aliasesTemp))
			os.Remove(w.path(aliasesUndo))
		}
	}()
	undo = func() error { return w.sync(os.Remove(w.path(aliasesFile))) }
	if len(w.aliases) > 0 {
		if err := w.writeAliases(aliasesUndo, w.aliases); err != nil {
			return nil, err
		}
		undo = func() error { return w.sync(os.Rename(w.path(aliasesUndo), w.path(aliasesFile))) }
	}
	next := maps.Clone(w.aliases)
	next[alias] = version
	if err := w.writeAliases(aliasesTemp, next); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := os.Rename(w.path(aliasesTemp), w.path(aliasesFile)); err != nil {
		return nil, err
	}
	if err := syncDir(w.dir); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}

func (w *writer) writeAliases(file string, aliases map[string]int) error {
	b, err := formatAliases(aliases)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(w.dir, file), b)
}
