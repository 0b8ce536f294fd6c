//go:build unix

package main

import "syscall"

// withoutCore keeps the memory of this program, and of those that it starts, off the disk if they crash: it holds
// what is scanned. The environment can ask Go for a core, so that not asking for one is not enough.
func withoutCore() error { return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }
