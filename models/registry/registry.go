// Package registry keeps the versions of models as plain files in a directory,
// with the aliases that point at them and a log of who did what.
//
//	<registry>/churn/v7/manifest.json ...  a version, written once
//	<registry>/churn/aliases.json          {"champion": 7}
//	<registry>/churn/canary.json           {"version": 8, "share": 0.05, "champion": 7}, if there is one
//	<registry>/churn/log.jsonl             an Entry a line, only ever appended to
//
// Readers need no lock and no write permission: a version, aliases.json and canary.json
// each appear whole, by a rename. Writers, in one process or many on one machine,
// exclude one another by a lock on <registry>/churn/.lock. Whatever a writer
// changes it changes first and logs second; if it dies in between, the next
// writer of that model clears what was left and logs, marked as recovered, what
// the directory shows and the log does not. A version's number is never used
// again. Directories on a network share whose locks do not reach every machine
// must have one writing machine.
package registry

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"propensity/models"
)

var (
	// ErrNotFound is wrapped by errors about a registry, model, version or alias
	// that is not there; they name those that are.
	ErrNotFound = errors.New("not found")
	// ErrReference is wrapped by errors about a reference or a name that can
	// belong to nothing, such as "../x" or "churn@champion@7".
	ErrReference = errors.New("bad reference")
	// ErrInUse is wrapped when a version to delete has an alias or is a canary.
	ErrInUse = errors.New("in use")
	// ErrMoved is wrapped when an alias is not where the caller says it is.
	ErrMoved = errors.New("moved meanwhile")
	// ErrDamaged is wrapped by errors about files that no writer of this package
	// would have left.
	ErrDamaged = errors.New("damaged registry")
)

// Registry is a directory of models. It holds no open files and no state: any
// number of them, in any number of processes, may be used at once.
type Registry struct {
	dir string
}

// Open is the registry in dir. Nothing is read: a directory that does not exist
// is made by the first Publish.
func Open(dir string) *Registry { return &Registry{dir: dir} }

// Version is one version of a model.
type Version struct {
	Number    int       `json:"version"`
	Aliases   []string  `json:"aliases"`        // sorted, may be empty
	Published time.Time `json:"published"`      // UTC, by the log
	Hash      string    `json:"hash,omitempty"` // of the artifact, hex; empty if it is not logged and cannot be read
}

// Models lists the models that have a version, sorted. A directory that does
// not exist is ErrNotFound.
func (r *Registry) Models() ([]string, error) {
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no registry at %s: %w: publishing a model makes one", r.dir, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() || models.ValidName(e.Name()) != nil {
			continue
		}
		numbers, err := r.numbers(e.Name())
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		if len(numbers) > 0 {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Versions lists the versions of a model by number.
func (r *Registry) Versions(name string) ([]Version, error) {
	// Versions first: none is listed with an alias that moved on to a later one.
	numbers, err := r.numbers(name)
	if err != nil {
		return nil, err
	}
	aliases, err := r.Aliases(name)
	if err != nil {
		return nil, err
	}
	entries, err := r.Log(name)
	if err != nil {
		return nil, err
	}
	published := publications(entries)
	out := make([]Version, 0, len(numbers))
	for _, n := range numbers {
		v := Version{Number: n, Aliases: aliasesOf(aliases, n)}
		e, logged := published[n]
		if !logged { // its writer was interrupted, and no other came by since
			if e, err = r.unlogged(name, n); errors.Is(err, ErrNotFound) {
				continue // deleted while we looked
			}
		}
		v.Published, v.Hash = e.Time, e.Hash
		out = append(out, v)
	}
	return out, nil
}

// Aliases gives the version of each alias of a model; the map is the caller's.
func (r *Registry) Aliases(name string) (map[string]int, error) {
	if _, err := r.numbers(name); err != nil {
		return nil, err
	}
	return readAliases(filepath.Join(r.modelDir(name), aliasesFile))
}

// Resolve finds the version that a reference names, by its number or through
// its alias, and fills in Version. What is not there is ErrNotFound.
func (r *Registry) Resolve(ref Ref) (Ref, error) {
	if err := ref.check(); err != nil {
		return Ref{}, err
	}
	// An alias may move, and its old version go, between the two reads; a
	// version is never seen to come back, so a second look settles it.
	for try := 0; ; try++ {
		out := ref
		if ref.Version == 0 {
			aliases, err := r.Aliases(ref.Name)
			if err != nil {
				return Ref{}, err
			}
			if out.Version = aliases[ref.Alias]; out.Version == 0 {
				return Ref{}, fmt.Errorf("model %q has no alias %q: %w: %s", ref.Name, ref.Alias, ErrNotFound, listAliases(aliases))
			}
		}
		numbers, err := r.numbers(ref.Name)
		if err != nil {
			return Ref{}, err
		}
		if slices.Contains(numbers, out.Version) {
			return out, nil
		}
		if ref.Version == 0 && try < resolveTries {
			continue
		}
		return Ref{}, fmt.Errorf("model %q has no version %d: %w: %s", ref.Name, out.Version, ErrNotFound, listNumbers(numbers))
	}
}

const resolveTries = 3

// Stamp is a short text that changes whenever aliases.json or canary.json does, for a
// server that polls: two small files are read. A model that has neither has the stamp
// "none".
func (r *Registry) Stamp(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	stamp := ""
	for _, file := range []string{aliasesFile, canaryFile} {
		b, info, err := readSmall(filepath.Join(r.modelDir(name), file), maxAliases)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		// The time tells a directory that was replaced by another one with the same
		// numbers; the content tells two changes within one tick of the clock.
		sum := sha256.Sum256(b)
		stamp += fmt.Sprintf("%s-%x-%x ", file, info.ModTime().UnixNano(), sum[:8])
	}
	if stamp != "" {
		return stamp, nil
	}
	if _, err := r.numbers(name); err != nil {
		return "", err
	}
	return "none", nil
}

func (r *Registry) modelDir(name string) string { return filepath.Join(r.dir, name) }

func (r *Registry) versionDir(name string, version int) string {
	return filepath.Join(r.dir, name, versionName(version))
}

// numbers lists the versions on disk, in order. A model without a directory is
// ErrNotFound; one whose versions were all deleted is not.
func (r *Registry) numbers(name string) ([]int, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	info, err := os.Lstat(r.modelDir(name))
	if err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory: %w", r.modelDir(name), ErrDamaged)
	}
	var entries []fs.DirEntry
	if err == nil {
		entries, err = os.ReadDir(r.modelDir(name))
	}
	if errors.Is(err, fs.ErrNotExist) {
		names, err := r.Models()
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("no model %q in %s: %w: %s", name, r.dir, ErrNotFound, listNames(names))
	}
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		if n, ok := parseVersionName(e.Name()); ok && e.IsDir() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// maxVersion keeps numbers far from overflow, whatever a directory is called.
const maxVersion = 999_999_999

func versionName(n int) string { return "v" + strconv.Itoa(n) }

func parseVersionName(s string) (int, bool) {
	digits, ok := strings.CutPrefix(s, "v")
	if !ok {
		return 0, false
	}
	return parseNumber(digits)
}

// parseNumber reads 1 to maxVersion, spelled as we spell it.
func parseNumber(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 1 && n <= maxVersion && strconv.Itoa(n) == s
}

func aliasesOf(aliases map[string]int, version int) []string {
	out := []string{}
	for alias, n := range aliases {
		if n == version {
			out = append(out, alias)
		}
	}
	slices.Sort(out)
	return out
}

func listNames(names []string) string {
	if len(names) == 0 {
		return "it has no models"
	}
	return "it has " + strings.Join(names, ", ")
}

func listNumbers(numbers []int) string {
	if len(numbers) == 0 {
		return "it has no versions"
	}
	const most = 20
	var parts []string
	if len(numbers) > most {
		parts = append(parts, "...")
		numbers = numbers[len(numbers)-most:]
	}
	for _, n := range numbers {
		parts = append(parts, strconv.Itoa(n))
	}
	return "it has " + strings.Join(parts, ", ")
}

func listAliases(aliases map[string]int) string {
	if len(aliases) == 0 {
		return "it has no aliases, promote a version"
	}
	var parts []string
	for _, alias := range slices.Sorted(maps.Keys(aliases)) {
		parts = append(parts, fmt.Sprintf("%s (%d)", alias, aliases[alias]))
	}
	return "it has " + strings.Join(parts, ", ")
}
