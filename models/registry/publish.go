package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"propensity/models"
)

// Publish writes the files of an artifact as the next version of a model and
// gives its number, from 1. The artifact is loaded and replays its own rows
// first, so that no version is there that could not be served. The version
// appears whole or, with an error, not at all; no alias moves.
func (r *Registry) Publish(ctx context.Context, name string, f models.Files, e Event) (version int, err error) {
	version, _, err = r.publish(ctx, name, f, false, e)
	return version, err
}

// Import is Publish unless the very same artifact, by its hash, is a version already and
// sound: then its number is given, the newest if there are several, and nothing changes.
func (r *Registry) Import(ctx context.Context, name string, f models.Files, e Event) (version int, published bool, err error) {
	return r.publish(ctx, name, f, true, e)
}

func (r *Registry) publish(ctx context.Context, name string, f models.Files, once bool, e Event) (version int, published bool, err error) {
	if err := checkName(name); err != nil {
		return 0, false, err
	}
	if err := checkFiles(f); err != nil {
		return 0, false, fmt.Errorf("model %q: %w", name, err)
	}
	s, err := models.NewScorer(f)
	if err != nil {
		return 0, false, fmt.Errorf("model %q: refused: %w", name, err)
	}
	if own := s.Artifact().Manifest.Name; own != name {
		return 0, false, fmt.Errorf("%w: an artifact of the model %q cannot be published as %q", ErrReference, own, name)
	}
	if err := makeDir(r.modelDir(name)); err != nil {
		return 0, false, err
	}
	w, err := r.begin(ctx, name)
	if err != nil {
		return 0, false, err
	}
	defer w.end()
	if once {
		if version := w.same(s.Artifact().Hash()); version > 0 {
			return version, false, nil
		}
	}
	if version, err = w.next(); err != nil {
		return 0, false, err
	}
	entry := w.entry(ActionPublish, version, e)
	entry.Hash = s.Artifact().Hash()
	line, err := entry.line()
	if err != nil {
		return 0, false, err
	}
	if err := w.place(ctx, version, f); err != nil {
		return 0, false, fmt.Errorf("model %q: nothing was published: %w", name, err)
	}
	if err := w.append(entry, line); err != nil {
		return 0, false, fmt.Errorf("model %q: version %d was withdrawn: %w", name, version, errors.Join(err, w.withdraw(version)))
	}
	return version, true, nil
}

// same is the newest sound version that holds the artifact of this hash; 0 if none does.
func (w *writer) same(hash string) int {
	published := publications(w.log)
	for _, n := range slices.Backward(w.numbers) {
		if published[n].Hash != hash {
			continue
		}
		if _, err := w.r.verify(w.name, n, w.log); err == nil {
			return n
		}
	}
	return 0
}

// place makes a version visible, whole.
func (w *writer) place(ctx context.Context, version int, f models.Files) error {
	temp := w.path(publishTemp + versionName(version))
	if err := writeDir(temp, f); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	if err := ctx.Err(); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	if err := os.Rename(temp, w.r.versionDir(w.name, version)); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	if err := syncDir(w.dir); err != nil {
		return errors.Join(err, w.withdraw(version))
	}
	return nil
}

func writeDir(dir string, f models.Files) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, file := range slices.Sorted(maps.Keys(f)) {
		if err := writeFile(filepath.Join(dir, file), f[file]); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// withdraw takes back a version that could not be logged. Its directory stays,
// empty and out of sight, until the next writer has noted that the number was
// used: someone may have seen it.
func (w *writer) withdraw(version int) error {
	temp := w.path(deleteTemp + versionName(version))
	if err := os.Rename(w.r.versionDir(w.name, version), temp); err != nil {
		return err
	}
	list, err := os.ReadDir(temp)
	for _, e := range list {
		err = errors.Join(err, os.Remove(filepath.Join(temp, e.Name())))
	}
	return w.sync(err)
}

// Delete removes a version. One that an alias points at, or a canary, is ErrInUse. The number
// is not used again, and the log keeps its entries.
func (r *Registry) Delete(ctx context.Context, name string, version int, e Event) error {
	if _, err := r.Resolve(Ref{Name: name, Version: version}); err != nil {
		return err
	}
	w, err := r.begin(ctx, name)
	if err != nil {
		return err
	}
	defer w.end()
	if !slices.Contains(w.numbers, version) {
		return fmt.Errorf("version %d of model %q was deleted meanwhile: %w", version, name, ErrNotFound)
	}
	if aliases := aliasesOf(w.aliases, version); len(aliases) > 0 {
		return fmt.Errorf("version %d of model %q is its %q: %w: move the alias first", version, name, aliases[0], ErrInUse)
	}
	if w.canary.Version == version {
		return fmt.Errorf("version %d of model %q is its canary: %w: end the canary first", version, name, ErrInUse)
	}
	entry := w.entry(ActionDelete, version, e)
	entry.Hash = publications(w.log)[version].Hash
	line, err := entry.line()
	if err != nil {
		return err
	}
	dir, temp := r.versionDir(name, version), w.path(deleteTemp+versionName(version))
	if err := os.Rename(dir, temp); err != nil {
		return err
	}
	err = syncDir(w.dir)
	if err == nil {
		err = w.append(entry, line)
	}
	if err != nil {
		return fmt.Errorf("model %q: version %d stays: %w", name, version, errors.Join(err, w.sync(os.Rename(temp, dir))))
	}
	if err := os.RemoveAll(temp); err != nil {
		return fmt.Errorf("version %d of model %q is deleted, but files stay until the next change: %w", version, name, err)
	}
	return nil
}
