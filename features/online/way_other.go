//go:build !linux

package online

import (
	"runtime"
	"time"
)

// giveWay does nothing where a thread has no priority of its own.
func giveWay() {}

func yieldThread() { runtime.Gosched() }

func pauseThread() { time.Sleep(wayPause) }
