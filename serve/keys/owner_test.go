//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package keys

import (
	"os"
	"syscall"
)

func ownerOf(path string) ([2]int, error) {
	info, err := os.Stat(path)
	if err != nil {
		return [2]int{}, err
	}
	s := info.Sys().(*syscall.Stat_t)
	return [2]int{int(s.Uid), int(s.Gid)}, nil
}
