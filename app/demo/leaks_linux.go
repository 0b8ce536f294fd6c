package demo

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// workerProcesses lists the Workers runtimes among the children of this process. A runtime is
// known by its arguments: its name may be that of a file descriptor.
func workerProcesses() ([]string, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, file := range stats {
		stat, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		// pid (comm) state ppid …; comm may hold blanks and parentheses.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		arguments, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		if err == nil && slices.Contains(strings.Split(string(arguments), "\x00"), "serve") {
			found = append(found, "process "+filepath.Base(filepath.Dir(file)))
		}
	}
	return found, nil
}

// openSockets lists the Unix sockets on which previews listen.
func openSockets() ([]string, error) {
	own, err := ownSockets()
	if err != nil {
		return nil, err
	}
	var found []string
	text, err := os.ReadFile("/proc/self/net/unix")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		// Num RefCount Protocol Flags Type St Inode Path
		f := strings.Fields(line)
		if len(f) > 7 && strings.Contains(f[7], "flaresmith-workerd") && own["socket:["+f[6]+"]"] {
			found = append(found, "socket "+filepath.Base(f[7]))
		}
	}
	return found, nil
}

// listeningPorts counts the TCP ports on which this process listens.
func listeningPorts() (int, error) {
	own, err := ownSockets()
	if err != nil {
		return 0, err
	}
	ports := 0
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, err := os.ReadFile(table)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			const listening = "0A"
			if f := strings.Fields(line); len(f) > 9 && f[3] == listening && own["socket:["+f[9]+"]"] {
				ports++
			}
		}
	}
	return ports, nil
}

// ownSockets are the sockets that this process has open, as /proc names them.
func ownSockets() (map[string]bool, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil {
			own[target] = true
		}
	}
	return own, nil
}
