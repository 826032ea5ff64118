//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package serve

import "syscall"

// fileLimit is how many files and connections the system lets this process have open.
func fileLimit() uint64 {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 1 << 62
	}
	return uint64(r.Cur)
}
