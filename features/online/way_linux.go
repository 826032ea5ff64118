package online

import (
	"runtime"
	"syscall"
)

// giveWay makes the goroutine that calls it yield its core to all others of the process
// as soon as one of them has something to do. It keeps the thread to itself, which ends
// with it.
func giveWay() {
	runtime.LockOSThread()
	const nice = 10
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, nice) // of a thread on Linux; without it all is well, but slower
}

func yieldThread() { _, _, _ = syscall.Syscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }

// pauseThread waits by the kernel: Go's own waits end up to a millisecond late.
func pauseThread() {
	wait := syscall.NsecToTimespec(int64(wayPause))
	_ = syscall.Nanosleep(&wait, nil) // a signal ends it early, which does no harm
}
