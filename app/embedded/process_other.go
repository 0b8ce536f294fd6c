//go:build !linux

package embedded

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithUs does nothing here: a server that outlives us is stopped by the next start on its folder.
func dieWithUs(*syscall.SysProcAttr, syscall.Signal) {}

// worksIn reports whether process pid is alive and was started for folder.
func worksIn(pid int, folder string) bool {
	line, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(line), "-D "+folder)
}
