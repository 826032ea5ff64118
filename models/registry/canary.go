package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

const canaryFile = "canary.json"

// ErrCanary is wrapped by errors about a canary that cannot be.
var ErrCanary = errors.New("no such canary")

// Canary is a version that answers for a share of a model's accounts in the place of the
// champion. It is a trial against one champion: when the champion moves, it is over.
type Canary struct {
	Version  int     `json:"version"`
	Share    float64 `json:"share"`    // of the accounts: above 0, at most 1
	Champion int     `json:"champion"` // the version it is tried against
}

func (c Canary) check() error {
	if err := errors.Join(checkVersion(c.Version), checkVersion(c.Champion)); err != nil {
		return err
	}
	if c.Version == c.Champion {
		return fmt.Errorf("%w: version %d is the champion itself", ErrCanary, c.Version)
	}
	if !(c.Share > 0 && c.Share <= 1) {
		return fmt.Errorf("%w: a share of %v: it is above 0 and at most 1", ErrCanary, c.Share)
	}
	return nil
}

// Canary reads the canary of a model; without one it is the zero Canary.
func (r *Registry) Canary(name string) (Canary, error) {
	aliases, err := r.Aliases(name)
	if err != nil {
		return Canary{}, err
	}
	c, err := readCanary(filepath.Join(r.modelDir(name), canaryFile))
	if err != nil || c.Champion != aliases[Champion] { // it is over, and no writer came by since
		return Canary{}, err
	}
	return c, nil
}

// readCanary reads canary.json; no file is no canary.
func readCanary(path string) (Canary, error) {
	b, _, err := readSmall(path, maxAliases)
	if errors.Is(err, fs.ErrNotExist) {
		return Canary{}, nil
	}
	if err != nil {
		return Canary{}, err
	}
	c, err := parseCanary(b)
	if err != nil {
		return Canary{}, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	return c, nil
}

// parseCanary reads a canary, and nothing else.
func parseCanary(b []byte) (Canary, error) {
	var c Canary
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Canary{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return Canary{}, errors.New("something follows its end")
	}
	if err := c.check(); err != nil {
		return Canary{}, err
	}
	return c, nil
}

func formatCanary(c Canary) ([]byte, error) {
	if c.Version == 0 {
		return nil, nil
	}
	b, err := json.MarshalIndent(c, "", "  ")
	return append(b, '\n'), err
}

// SetCanary lets a version answer for a share of the accounts, above 0 and at most 1, in
// the place of the present champion, once it has been loaded and has replayed its own
// rows. A share that grows takes accounts in and lets none out. A model without a champion
// is ErrCanary.
func (r *Registry) SetCanary(ctx context.Context, name string, version int, share float64, e Event) (Canary, error) {
	if _, err := r.Resolve(Ref{Name: name, Version: version}); err != nil {
		return Canary{}, err
	}
	w, err := r.begin(ctx, name)
	if err != nil {
		return Canary{}, err
	}
	defer w.end()
	c := Canary{Version: version, Share: share, Champion: w.aliases[Champion]}
	if c.Champion == 0 {
		return Canary{}, fmt.Errorf("%w: model %q has no champion to be tried against: promote a version", ErrCanary, name)
	}
	if err := c.check(); err != nil {
		return Canary{}, err
	}
	hash, err := r.verify(name, version, w.log)
	if err != nil {
		return Canary{}, fmt.Errorf("canary refused: %w", err)
	}
	if c == w.canary {
		return c, nil
	}
	return c, w.setCanary(ctx, c, hash, e)
}

// EndCanary gives all accounts back to the champion. Without a canary it is ErrNotFound.
func (r *Registry) EndCanary(ctx context.Context, name string, e Event) error {
	if _, err := r.numbers(name); err != nil {
		return err
	}
	w, err := r.begin(ctx, name)
	if err != nil {
		return err
	}
	defer w.end()
	if w.canary.Version == 0 {
		return fmt.Errorf("model %q has no canary: %w", name, ErrNotFound)
	}
	return w.setCanary(ctx, Canary{}, publications(w.log)[w.canary.Version].Hash, e)
}

// setCanary puts a canary in the place of the present one; the zero Canary ends it.
func (w *writer) setCanary(ctx context.Context, c Canary, hash string, e Event) error {
	entry := w.entry(ActionCanary, cmp.Or(c.Version, w.canary.Version), e)
	entry.Share, entry.Hash = c.Share, hash
	line, err := entry.line()
	if err != nil {
		return err
	}
	was, err := formatCanary(w.canary)
	if err != nil {
		return err
	}
	now, err := formatCanary(c)
	if err != nil {
		return err
	}
	if err := w.replace(ctx, canaryFile, was, now, entry, line); err != nil {
		return fmt.Errorf("model %q: its canary stays: %w", w.name, err)
	}
	w.canary = c
	return nil
}

// settleCanary ends a canary whose champion is no longer the champion: after a rollback
// to that champion it must not come back.
func (w *writer) settleCanary() error {
	if w.canary.Version == 0 || w.canary.Champion == w.aliases[Champion] {
		return nil
	}
	return w.setCanary(context.Background(), Canary{}, publications(w.log)[w.canary.Version].Hash,
		Event{Note: fmt.Sprintf("the champion is no longer version %d", w.canary.Champion)})
}

// canaryOf is the canary by the log, without its champion.
func canaryOf(entries []Entry) Canary {
	c := Canary{}
	for _, e := range entries {
		if e.Action == ActionCanary {
			if c = (Canary{Version: e.Version, Share: e.Share}); e.Share == 0 {
				c = Canary{}
			}
		}
	}
	return c
}
