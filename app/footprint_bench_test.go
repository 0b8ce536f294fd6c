//go:build linux

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// BenchmarkReady is the time from the start of the process until /readyz answers, with Postgres up, the
// tables there and the Workers runtime at hand.
func BenchmarkReady(b *testing.B) {
	w := newKillWorld(b)
	for b.Loop() {
		b.StopTimer()
		w.kill()
		b.StartTimer()
		w.start()
		response, err := http.Get(w.api + "/readyz") //nolint:noctx // of this machine
		if err != nil || response.StatusCode != http.StatusOK {
			b.Fatalf("not ready: %v %v", response, err)
		}
		_ = response.Body.Close()
	}
}

// BenchmarkMemory is the resident memory of the server, idle and with its fifteen previews, of one Worker
// there, and of all of them together. Pages that Workers share, such as the runtime's code, are in the
// Workers' figures by their share (PSS).
func BenchmarkMemory(b *testing.B) {
	const previews = 15
	for b.Loop() {
		w := newKillWorld(b)
		w.kill()
		w.start()
		time.Sleep(5 * time.Second) // until it is idle; a benchmark may
		b.ReportMetric(megabytes(b, w.process.Process.Pid, "status", "VmRSS"), "idle-MB")
		for i := range previews {
			branch := fmt.Sprintf("feature/%d", i)
			if _, err := w.github.CommitAs("octo-dev", killRepo, branch, map[string]string{"note.txt": branch}, "Note"); err != nil {
				b.Fatal(err)
			}
			if _, err := w.github.OpenPR(killRepo, branch, branch, "", "octo-dev"); err != nil {
				b.Fatal(err)
			}
		}
		w.until("every preview is up", func() bool { return w.active() == previews })
		time.Sleep(5 * time.Second)
		b.ReportMetric(megabytes(b, w.process.Process.Pid, "status", "VmRSS"), "server-MB")
		var workers float64
		for _, pid := range w.childPIDs() {
			workers += megabytes(b, pid, "smaps_rollup", "Pss")
		}
		b.ReportMetric(workers/previews, "worker-MB")
		b.ReportMetric(workers, "workers-MB")
		w.kill()
	}
}

// active is how many previews are up.
func (w *killWorld) active() (n int) {
	w.t.Helper()
	store, err := pgx.Connect(w.t.Context(), w.storeURL)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = store.Close(w.t.Context()) }()
	if err := store.QueryRow(w.t.Context(), `SELECT count(*) FROM environments WHERE state = 'active'`).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// childPIDs are the processes below the server, however deep.
func (w *killWorld) childPIDs() []int {
	var found []int
	below := []int{w.process.Process.Pid}
	for len(below) > 0 {
		paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", below[0]))
		below = below[1:]
		for _, path := range paths {
			text, _ := os.ReadFile(path)
			for field := range strings.FieldsSeq(string(text)) {
				if pid, err := strconv.Atoi(field); err == nil {
					found, below = append(found, pid), append(below, pid)
				}
			}
		}
	}
	return found
}

// megabytes is one line, in kB, of a process's file under /proc.
func megabytes(b *testing.B, pid int, file, line string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		b.Fatal(err)
	}
	for entry := range strings.Lines(string(text)) {
		if fields := strings.Fields(entry); len(fields) > 1 && fields[0] == line+":" {
			kilobytes, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kilobytes / 1024
		}
	}
	b.Fatalf("no %s of process %d", line, pid)
	return 0
}
