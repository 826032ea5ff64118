package online

import (
	"runtime"
	"syscall"
)

// giveWay makes the goroutine that calls it yield its core to all others of the process
// as soon as one of them has something to do: a transaction is long, and a score on the
// same core wants little. It keeps the thread to itself, which ends with it.
func giveWay() {
	runtime.LockOSThread()
	const nice = 10
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, nice) // of a thread on Linux; without it all is well, but slower
}
