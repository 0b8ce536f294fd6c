package workerd

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors of the generation's folder and the executable in the child.
const (
	folderFD = 5
	binaryFD = 6
)

// A fixed part of what V8 and the runtime map and mostly never touch, measured at 0.55 GB idle.
const dataHeadroom = 1 << 30

// confine makes the process a group of its own that dies with the server, under its own user.
//
// Executable and configuration are named by descriptor: the folders above them, such as root's
// home, need not be open to the preview's user.
func confine(cmd *exec.Cmd, l launch) {
	cmd.ExtraFiles = append(cmd.ExtraFiles, l.folder, l.binary)
	cmd.Path = fmt.Sprintf("/proc/self/fd/%d%s", binaryFD, l.program)
	cmd.Args = append(cmd.Args, fmt.Sprintf("/proc/self/fd/%d/%s", folderFD, configFile))
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if l.uid != 0 {
		id := uint32(l.uid) //nolint:gosec // checked to be small by Config
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: id, Gid: id, Groups: []uint32{}}
	}
	if l.isolated {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	}
}

// limitProcess sets the kernel's own bounds. They are the net under the watch on resident memory,
// which looks a few times a second only; a failure leaves that watch.
func limitProcess(pid int, memory int64) {
	set := func(resource int, limit uint64) {
		_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: limit, Max: limit}, nil)
	}
	set(unix.RLIMIT_CORE, 0)
	set(unix.RLIMIT_FSIZE, 0)
	set(unix.RLIMIT_NOFILE, 1024)
	set(unix.RLIMIT_DATA, uint64(memory)+dataHeadroom) //nolint:gosec // checked to be positive by Config
}

// resident is how many bytes of memory the process uses; ok is false when it is gone.
func resident(pid int) (size int64, ok bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(raw)
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}

// processorTime is what the process has used of the processors so far.
func processorTime(pid int) (time.Duration, bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The second field, in parentheses, may contain anything: count from behind it.
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	if len(fields) < 13 {
		return 0, false
	}
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	if err != nil {
		return 0, false
	}
	system, err := strconv.ParseInt(string(fields[12]), 10, 64)
	const tick = time.Second / 100 // USER_HZ, the same on every Linux that Go runs on
	return time.Duration(user+system) * tick, err == nil
}

// effortOf is what the process's main thread, which runs the Worker's code, computed and waited for a processor: on a
// machine with more to do than it can, a loop without end gets a part of one only.
func effortOf(pid int) (effort, bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	var computed, waited int64
	if n, _ := fmt.Sscan(string(raw), &computed, &waited); err != nil || n < 2 { // not every kernel counts this
		used, ok := processorTime(pid)
		return effort{computed: used}, ok
	}
	return effort{time.Duration(computed), time.Duration(waited)}, true
}
