package keys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"propensity/models/registry"
)

// ErrFile is a file of keys that cannot be used as it is.
var ErrFile = errors.New("the file of keys")

const (
	fileVersion = 1
	maxFile     = 16 << 20 // bytes
	lockSuffix  = ".lock"
)

// file is the text of the file.
type file struct {
	Version int   `json:"version"`
	Keys    []Key `json:"keys"`
}

// parse reads the text of a file of keys, strictly: what it does not know could be a
// limit that someone relies on.
func parse(b []byte) ([]Key, error) {
	var f file
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("%w is no JSON of keys: %w", ErrFile, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w goes on after its end", ErrFile)
	}
	if f.Version != fileVersion {
		return nil, fmt.Errorf("%w has version %d, and this program knows %d", ErrFile, f.Version, fileVersion)
	}
	seen := make(map[string]bool, len(f.Keys))
	for i := range f.Keys {
		k := &f.Keys[i]
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("%w: key %d: %w", ErrFile, i+1, err)
		}
		if seen[k.ID] {
			return nil, fmt.Errorf("%w: key %d: the id %s stands there twice", ErrFile, i+1, k.ID)
		}
		seen[k.ID] = true
	}
	return f.Keys, nil
}

func format(keys []Key) ([]byte, error) {
	if keys == nil {
		keys = []Key{}
	}
	b, err := json.MarshalIndent(file{fileVersion, keys}, "", "  ")
	return append(b, '\n'), err
}

// read gives the bytes of the file, if nobody but its owner can write it: who can, could
// give themselves a key.
func read(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", ErrFile, err)
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%w %s is no file", ErrFile, path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0:
		return nil, nil, fmt.Errorf("%w %s can be written by others than its owner: chmod 600 it", ErrFile, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return b, info, nil
}

// List reads the keys of a file, in the order in which they were made.
func List(path string) ([]Key, error) {
	b, _, err := read(path)
	if err != nil {
		return nil, err
	}
	list, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// Create adds a key to the file, which is made, readable by its owner alone, if it is
// not there. The text is the key itself: it cannot be shown again.
func Create(ctx context.Context, path string, like Key, now time.Time) (k Key, text string, err error) {
	err = update(ctx, path, true, func(list []Key) ([]Key, error) {
		if k, text, err = New(like, now); err != nil {
			return nil, err
		}
		for slices.ContainsFunc(list, func(o Key) bool { return o.ID == k.ID }) { // one in 2^40
			if k, text, err = New(like, now); err != nil {
				return nil, err
			}
		}
		return append(list, k), nil
	})
	return k, text, err
}

// Revoke ends a key. Its record stays, so that logs can be read; its secrets do not.
func Revoke(ctx context.Context, path, id string, now time.Time) (k Key, err error) {
	err = change(ctx, path, id, func(o *Key) error {
		o.Revoked, o.Secrets = now.UTC().Truncate(time.Second), nil
		k = *o
		return nil
	})
	return k, err
}

// Rotate gives a key a new text; the one before holds until the overlap is over. ID,
// scopes and limits stay.
func Rotate(ctx context.Context, path, id string, overlap time.Duration, now time.Time) (k Key, text string, err error) {
	err = change(ctx, path, id, func(o *Key) (err error) {
		text, err = o.rotate(now, overlap)
		k = *o
		return err
	})
	return k, text, err
}

// change changes one key that is in use.
func change(ctx context.Context, path, id string, do func(*Key) error) error {
	return update(ctx, path, false, func(list []Key) ([]Key, error) {
		i := slices.IndexFunc(list, func(k Key) bool { return k.ID == id && k.Revoked.IsZero() })
		if i < 0 {
			return nil, fmt.Errorf("%w: %.20q, or it is revoked already", ErrNone, id)
		}
		return list, do(&list[i])
	})
}

// update changes the file under a lock, so that of two changes at once none is lost, and
// in one step: who reads it sees it whole, before or after. It lasts through a loss of
// power.
func update(ctx context.Context, path string, create bool, do func([]Key) ([]Key, error)) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // or the link would be replaced
	}
	unlock, err := registry.Lock(ctx, path+lockSuffix)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer func() { _ = unlock() }() // all was written and synced before
	var list []Key
	b, was, err := read(path)
	switch {
	case create && errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		_ = keepOwner(path+lockSuffix, was) // who may change the file may lock it
		if list, err = parse(b); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if list, err = do(list); err != nil {
		return err
	}
	if b, err = format(list); err != nil {
		return err
	}
	if err := replace(path, b, was); err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	return nil
}

// replace puts a file in the place of the one that was there, if there was one, and
// keeps whose it is: a server may run as another user than who changes its keys.
func replace(path string, b []byte, was fs.FileInfo) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".keys-") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && was != nil {
		err = errors.Join(f.Chmod(was.Mode().Perm()), keepOwner(f.Name(), was))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync() // some systems cannot
		_ = d.Close()
	}
	return nil
}
