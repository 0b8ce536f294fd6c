//go:build !linux

package workerd

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// confine makes the process a group of its own. Without /proc there is no descriptor to name the
// files by, no death signal and no watch on memory: this is for a developer's own machine.
func confine(cmd *exec.Cmd, l launch) {
	cmd.Path = l.binary.Name() + l.program
	cmd.Args = append(cmd.Args, filepath.Join(l.folder.Name(), configFile))
	cmd.Dir = l.folder.Name()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func limitProcess(int, int64) {}

func resident(int) (int64, bool) { return 0, false }

func processorTime(int) (time.Duration, bool) { return 0, false }

func effortOf(int) (effort, bool) { return effort{}, false }
