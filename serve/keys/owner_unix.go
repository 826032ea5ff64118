//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package keys

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a new file to the owner and group of the one before.
func keepOwner(path string, was fs.FileInfo) error {
	old, ok := was.Sys().(*syscall.Stat_t)
	if !ok || int(old.Uid) == os.Geteuid() && int(old.Gid) == os.Getegid() {
		return nil
	}
	return os.Chown(path, int(old.Uid), int(old.Gid))
}
