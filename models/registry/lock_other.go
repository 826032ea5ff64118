//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// lock waits until it alone holds the lock of path, or ctx is done: the holder
// is who could make the file path.held. A holder that dies leaves it, and
// someone must remove it: the error says so.
func lock(ctx context.Context, path string) (unlock func() error, err error) {
	path += ".held"
	for wait := time.Millisecond; ; wait = min(2*wait, 10*time.Millisecond) {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			return func() error { return errors.Join(file.Close(), os.Remove(path)) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is held by another writer: %w: remove it if none is running", path, context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}

// syncDir does nothing: these systems cannot sync a directory.
func syncDir(string) error { return nil }
