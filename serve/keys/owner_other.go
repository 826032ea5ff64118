//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package keys

import "io/fs"

// keepOwner does nothing: these systems have no owner to keep.
func keepOwner(string, fs.FileInfo) error { return nil }
