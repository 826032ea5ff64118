package registry

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"propensity/models"
)

// maxFile bounds each file of an artifact, in bytes.
const maxFile = 1 << 30

// fileNames are the files that a version may hold.
func fileNames() []string { return append(models.AllFileNames(), models.ManifestFile) }

// checkFile holds a file of an artifact to the limits.
func checkFile(name string, size int64) error {
	if !slices.Contains(fileNames(), name) {
		return fmt.Errorf("file %.80q is no part of an artifact, which holds %s", name, strings.Join(fileNames(), ", "))
	}
	if size > maxFile {
		return fmt.Errorf("file %s has %d bytes, at most %d", name, size, int64(maxFile))
	}
	return nil
}

func checkFiles(f models.Files) error {
	if len(f) == 0 {
		return errors.New("an artifact without files")
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if err := checkFile(name, int64(len(f[name]))); err != nil {
			return err
		}
	}
	return nil
}

// Read reads the files of a version, unchecked but for their names and sizes:
// only regular files are read, and no link is followed.
func (r *Registry) Read(name string, version int) (models.Files, error) {
	if _, err := r.Resolve(Ref{Name: name, Version: version}); err != nil {
		return nil, err
	}
	dir := r.versionDir(name, version)
	f, err := readVersion(dir)
	if err != nil {
		if _, gone := os.Lstat(dir); errors.Is(gone, fs.ErrNotExist) {
			return nil, fmt.Errorf("version %d of model %q was deleted meanwhile: %w", version, name, ErrNotFound)
		}
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return f, nil
}

func readVersion(dir string) (models.Files, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	list, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer list.Close()
	// One name more than may be there is enough to know.
	entries, err := list.ReadDir(len(fileNames()) + 1)
	if err != nil && err != io.EOF {
		return nil, err
	}
	f := make(models.Files, len(entries))
	for _, e := range entries {
		if err := checkFile(e.Name(), 0); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if f[e.Name()], err = readFile(root, e.Name()); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// readFile reads one regular file. The check after opening is against a link
// put there after the check before.
func readFile(root *os.Root, name string) ([]byte, error) {
	before, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is a %s, not a file", ErrDamaged, name, before.Mode().Type())
	}
	if err := checkFile(name, before.Size()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	after, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(before, after) {
		return nil, fmt.Errorf("%w: %s changed while it was opened", ErrDamaged, name)
	}
	b := make([]byte, before.Size())
	if _, err := io.ReadFull(file, b); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// readSmall reads a regular file of at most limit bytes. A directory or a link
// in its place is ErrDamaged.
func readSmall(path string, limit int64) ([]byte, fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%w: %s is a %s, not a file", ErrDamaged, path, info.Mode().Type())
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, nil, err
	}
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, nil, fmt.Errorf("%w: %s is over %d bytes", ErrDamaged, path, limit)
	}
	return b, info, nil
}

// Load reads the version that a reference names, checks every hash and replays
// the artifact's own rows; the Ref comes back with its Version. If an alias
// moves and its old version goes meanwhile, the new one is loaded.
func (r *Registry) Load(ref Ref) (*models.Scorer, Ref, error) {
	for try := 0; ; try++ {
		found, err := r.Resolve(ref)
		if err != nil {
			return nil, Ref{}, err
		}
		f, err := r.Read(found.Name, found.Version)
		if errors.Is(err, ErrNotFound) && ref.Version == 0 && try < resolveTries {
			continue
		}
		if err != nil {
			return nil, Ref{}, err
		}
		s, err := open(found.Name, f)
		if err != nil {
			return nil, Ref{}, fmt.Errorf("%s: %w", r.versionDir(found.Name, found.Version), err)
		}
		return s, found, nil
	}
}

// open turns the files of a model into a scorer.
func open(name string, f models.Files) (*models.Scorer, error) {
	s, err := models.NewScorer(f)
	if err != nil {
		return nil, err
	}
	if own := s.Artifact().Manifest.Name; own != name {
		return nil, fmt.Errorf("%w: the artifact is of the model %q, not of %q", ErrDamaged, own, name)
	}
	return s, nil
}

// Verify loads a version as Load does and holds its hash against the log: an
// error tells what is wrong with it, ErrDamaged that it is another artifact
// than the one published under that number.
func (r *Registry) Verify(name string, version int) error {
	entries, err := r.Log(name)
	if err != nil {
		return err
	}
	_, err = r.verify(name, version, entries)
	return err
}

// verify gives the hash of a version that is sound.
func (r *Registry) verify(name string, version int, entries []Entry) (string, error) {
	f, err := r.Read(name, version)
	if err != nil {
		return "", err
	}
	dir := r.versionDir(name, version)
	s, err := open(name, f)
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	hash := s.Artifact().Hash()
	if e, ok := publications(entries)[version]; ok && e.Hash != "" && e.Hash != hash {
		return "", fmt.Errorf("%w: %s holds the artifact %s, published under that number was %s", ErrDamaged, dir, hash, e.Hash)
	}
	return hash, nil
}

// unlogged is the entry for a version that the log knows nothing of.
func (r *Registry) unlogged(name string, version int) (Entry, error) {
	info, err := os.Lstat(r.versionDir(name, version))
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, fmt.Errorf("version %d of model %q: %w", version, name, ErrNotFound)
	}
	if err != nil {
		return Entry{}, err
	}
	e := Entry{
		Time: info.ModTime().UTC(), Action: ActionPublish, Version: version, Recovered: true,
		Note: "its writer was interrupted before the log",
	}
	if e.Hash, err = r.verify(name, version, nil); err != nil {
		e.Note = "found without a log entry, and it cannot be loaded: " + err.Error()
	}
	return e, nil
}

// readAliases reads aliases.json; no file is no aliases.
func readAliases(path string) (map[string]int, error) {
	b, _, err := readSmall(path, maxAliases)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]int{}, nil
	}
	if err != nil {
		return nil, err
	}
	aliases, err := parseAliases(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	return aliases, nil
}
