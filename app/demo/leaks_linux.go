package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// workerProcesses lists the Workers runtimes among the children of this process.
func workerProcesses() ([]string, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || err != nil && strings.Contains(err.Error(), "no such process") {
			continue // it ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		// pid (comm) state ppid …; comm may hold blanks and parentheses.
		open, end := strings.IndexByte(string(text), '('), strings.LastIndexByte(string(text), ')')
		fields := strings.Fields(string(text[end+1:]))
		if string(text[open+1:end]) == "workerd" && fields[1] == strconv.Itoa(os.Getpid()) {
			found = append(found, "process "+strings.TrimSpace(string(text[:open])))
		}
	}
	return found, nil
}

// proxyPorts lists the sockets of this process that listen on 127.88.0.0/16, where the proxies of
// the previews' databases are.
func proxyPorts() ([]string, error) {
	own, err := ownSockets()
	if err != nil {
		return nil, err
	}
	table, err := os.Open("/proc/self/net/tcp")
	if err != nil {
		return nil, err
	}
	defer func() { _ = table.Close() }()
	var found []string
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		const listening = "0A"
		if len(fields) < 10 || fields[3] != listening || !own["socket:["+fields[9]+"]"] {
			continue
		}
		// The address is little-endian hexadecimal: 127.88.x.y is "yyxx587F".
		if address, _, _ := strings.Cut(fields[1], ":"); strings.HasSuffix(address, "587F") {
			found = append(found, fmt.Sprintf("port %s", fields[1]))
		}
	}
	return found, lines.Err()
}

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
