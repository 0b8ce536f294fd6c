//go:build linux

package server

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/racetest"
)

// TestDiskFull takes all room on the disk of the server's data folder. Deliveries are still taken, what
// serves goes on, what is closed goes, and people are told; when there is room again, all goes on by itself.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	disk := dataFolder(t)
	switch err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16m,mode=711"); {
	case refused(err) && os.Getenv(ownMounts) == "":
		withOwnMounts(t)
		return
	case refused(err):
		_ = os.Remove(disk)
		os.Exit(exitRefused)
	case err != nil:
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

const (
	ownMounts     = "FLARESMITH_TEST_OWN_MOUNTS" // set: this process has namespaces of its own
	exitRefused   = 75                           // of a process that may not mount even in them
	capSysAdmin   = 21
	mappedIDs     = 1 << 16
	diskTestLimit = 3 * time.Minute
)

// refused reports whether the kernel, its security module or a container's filter says no.
func refused(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES)
}

// withOwnMounts runs the calling test once more in a process with user and mount namespaces of its own, where whoever
// may make them may mount. Nothing else fails as a full disk does: RLIMIT_FSIZE says EFBIG, for each file by itself,
// and filling /dev/shm would fill it for the databases of the other tests, too. Where such namespaces are forbidden
// the test is skipped, with the reason; in CI it fails, so that nobody thinks that full disks are tested there: Ubuntu
// 24.04 takes kernel.apparmor_restrict_unprivileged_userns=0, as our workflow sets it, and a container CAP_SYS_ADMIN.
func withOwnMounts(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), diskTestLimit)
	defer cancel()
	again := exec.CommandContext(ctx, self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout="+diskTestLimit.String())
	again.Env = append(os.Environ(), ownMounts+"=1")
	again.Cancel = func() error { return again.Process.Signal(syscall.SIGQUIT) } // where does it hang?
	again.WaitDelay = 10 * time.Second
	again.SysProcAttr = ownNamespaces()
	out, err := again.CombinedOutput()
	switch {
	case err == nil:
	case refused(err), errors.Is(err, syscall.ENOSPC), again.ProcessState != nil && again.ProcessState.ExitCode() == exitRefused:
		if os.Getenv("CI") == "true" {
			t.Fatalf("a small disk can't be mounted, not even in namespaces of our own: %v", err)
		}
		t.Skipf("a small disk can't be mounted, not even in namespaces of our own: %v", err)
	default:
		t.Errorf("in namespaces of its own: %v\n%s", err, out)
	}
}

// ownNamespaces are a user namespace, in which everybody is whom they were, and a mount namespace. The right to mount in
// them outlives the start of the program by its being ambient.
func ownNamespaces() *syscall.SysProcAttr {
	users := []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
	groups := []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	if os.Getuid() == 0 { // Postgres and the Workers run as other users
		users[0].Size, groups[0].Size = mappedIDs, mappedIDs
	}
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: users, GidMappings: groups,
		GidMappingsEnableSetgroups: os.Getuid() == 0, AmbientCaps: []uintptr{capSysAdmin}}
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
