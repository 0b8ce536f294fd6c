//go:build linux

package server

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDiskFull takes all room on the disk of the server's data folder. Deliveries are still taken, what
// serves goes on, what is closed goes, and people are told; when there is room again, all goes on by itself.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	disk := dataFolder(t)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16m,mode=711"); errors.Is(err, syscall.EPERM) {
		t.Skip("a small disk can't be mounted: " + err.Error())
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	w, _ := newLocalWorldIn(t, sampleFiles(), `CREATE TABLE items (id int PRIMARY KEY)`, disk)
	pr, sha := w.open("feature/stays")
	gone, other := w.open("feature/goes")
	w.wantCheck(sha, "success")
	w.wantCheck(other, "success")
	w.settle()
	name := w.environment(pr).Name
	filler := filepath.Join(disk, "filler")
	fill(t, filler)

	second := w.push("feature/stays", "two")
	w.until("the pass has failed", func() bool { return w.environment(pr).Attempts > 0 })
	check, _ := w.check(testRepo, second)
	if check.Status != "in_progress" || !strings.Contains(check.Summary, "The server has no disk space left.") {
		t.Errorf("check %q: %s\n%s", check.Status, check.Title, check.Summary)
	}
	if status, body := w.ask(name); status != http.StatusOK || body != "feature/stays" {
		t.Errorf("the last good preview answers %d %q", status, body)
	}
	if err := w.github.ClosePR(testRepo, gone, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.until("what is closed is gone", func() bool { return w.environment(gone).State == "archived" })
	fill(t, filler+"2") // what that gave back

	if err := errors.Join(os.Remove(filler), os.Remove(filler+"2")); err != nil {
		t.Fatal(err)
	}
	w.wantCheck(second, "success")
	w.settle()
	if _, body := w.ask(name); body != "two" {
		t.Errorf("it serves %q", body)
	}
	for _, pattern := range []string{"data/source/*", "data/workers/.scratch-*", "data/collections/.*"} {
		if left, _ := filepath.Glob(filepath.Join(disk, pattern)); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.wantNothingLeft(name)
	w.wantNoSecret()
	w.valid()
}

// fill writes until nothing more can be written.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}
