package embedded

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// dieWithUs has the kernel send signal to the child when the thread that starts it ends. That thread must
// therefore live as long as the child.
func dieWithUs(attributes *syscall.SysProcAttr, signal syscall.Signal) {
	attributes.Pdeathsig = signal
}

// worksIn reports whether process pid is alive and works in folder, which is what a Postgres server does.
func worksIn(pid int, folder string) bool {
	current, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	return err == nil && current == folder
}
