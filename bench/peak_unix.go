//go:build unix

package main

import (
	"math"
	"os"
	"runtime"
	"syscall"
)

// peak is the most memory that a process had resident, in MB (2^20 bytes). Linux
// counts a child as large as its parent was when it started it: this program
// does its own large work in child processes.
func peak(p *os.ProcessState) float64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return math.NaN()
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return float64(usage.Maxrss) / (1 << 20)
	}
	return float64(usage.Maxrss) / (1 << 10)
}
