//go:build !linux

package online

// giveWay does nothing where a thread has no priority of its own.
func giveWay() {}
