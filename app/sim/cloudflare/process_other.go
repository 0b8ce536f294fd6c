//go:build !linux

package cloudflare

import "syscall"

// attributes make a process a group of its own.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
