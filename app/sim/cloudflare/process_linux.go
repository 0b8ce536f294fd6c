package cloudflare

import "syscall"

// attributes make a process a group of its own that dies with us.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
