package secretscan

import (
	"bufio"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestPartialClone scans a repository whose blobs were left on the server: it fetches nothing, says so, and
// is never a clean one. Older versions of Git end where newer ones name what is missing.
func TestPartialClone(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.write("a.env", "TOKEN="+githubToken(1)+"\n")
	r.commit("a secret")
	r.git("rm", "--quiet", "a.env")
	r.write("b.txt", "nothing\n")
	r.commit("gone")
	r.git("config", "uploadpack.allowFilter", "true")
	partial := newRepository(t)
	partial.git("clone", "--quiet", "--bare", "--filter=blob:none", "file://"+r.dir, filepath.Join(partial.dir, "bare"))
	found, err := Scan(t.Context(), Request{Mode: History, Dir: filepath.Join(partial.dir, "bare"), Note: func(string) {}})
	if len(found) != 0 || err == nil || !strings.Contains(err.Error(), "missing") && !strings.Contains(err.Error(), "partial clone") {
		t.Errorf("found %d, %v", len(found), err)
	}
}

// TestManyBlobs scans a history of many large blobs, of which each one alone fits into memory and all do not: half
// a gigabyte unpacked, of a file that grows and changes, and of files that have nothing in common.
func TestManyBlobs(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	const blobs, size, most = 512, 1 << 20, 160 << 20
	r := newRepository(t)
	fastImport(t, r, blobs, size)
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	before := stats.HeapInuse
	var peak atomic.Uint64
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		var now runtime.MemStats
		for {
			runtime.ReadMemStats(&now)
			if now.HeapInuse > peak.Load() {
				peak.Store(now.HeapInuse)
			}
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	found, err := Scan(t.Context(), Request{Mode: History, Dir: r.dir})
	close(done)
	<-stopped
	if err != nil || len(found) != 1 || found[0].Path != fmt.Sprintf("own/%d.txt", blobs-1) {
		t.Errorf("found %v, %v", found, err)
	}
	t.Logf("%d MiB of blobs in %d MiB of heap", blobs*size>>20, (peak.Load()-before)>>20)
	if peak.Load() > before+most {
		t.Errorf("%d MiB of heap, want at most %d", (peak.Load()-before)>>20, most>>20)
	}
}

// fastImport writes a history without a working tree. The last blob ends with a secret.
func fastImport(t *testing.T, r *repository, blobs, size int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "fast-import", "--quiet")
	cmd.Dir = r.dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(in, 1<<20)
	line := func(seed int) string { return randomText(uint64(seed), lower, 60) + " = usual text\n" }
	for i := range blobs {
		name, text := "shared.txt", strings.Repeat(line(1), size/75)+line(i)
		if i%2 == 1 {
			name, text = fmt.Sprintf("own/%d.txt", i), strings.Repeat(line(i), size/75)
		}
		if i == blobs-1 {
			text += "TOKEN=" + githubToken(1) + "\n"
		}
		fmt.Fprintf(w, "commit refs/heads/main\ncommitter Ann <ann@acme.dev> %d +0000\ndata 1\nx\nM 644 inline %s\ndata %d\n%s\n", 1767322000+i, name, len(text), text)
	}
	if err := errors.Join(w.Flush(), in.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
}
