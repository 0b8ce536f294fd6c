package embedded

import (
	"archive/tar"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/flaresmith/flaresmith/app/npm"
)

// registry serves one package whose program is script, and says how often it was asked.
func registry(t *testing.T, script string) (from Tools, packages map[machine]program, asked *atomic.Int32) {
	t.Helper()
	content, err := os.ReadFile(tarball(t, []entry{
		{name: "package/bin/workerd", content: script, mode: 0o755, kind: tar.TypeReg},
		{name: "package/README.md", content: "not wanted", mode: 0o644, kind: tar.TypeReg},
	}))
	if err != nil {
		t.Fatal(err)
	}
	asked = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(content)
	}))
	t.Cleanup(server.Close)
	npmCache := t.TempDir()
	if err := os.WriteFile(filepath.Join(npmCache, ".npmrc"), fmt.Appendf(nil, "@test:registry=%s/\n", server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := npm.NewClient(npm.Config{CacheDir: npmCache})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(content)
	packages = map[machine]program{{runtime.GOOS, runtime.GOARCH}: {
		pkg: "@test/tool", version: "1.0.0", integrity: "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
	}}
	return Tools{Client: client, CacheDir: t.TempDir()}, packages, asked
}

func TestFetchOnce(t *testing.T) {
	t.Parallel()
	from, packages, asked := registry(t, "#!/bin/sh\necho tool 1\n")
	var told atomic.Int64
	from.Progress = func(name string, done, _ int64) {
		if name == "tool" {
			told.Store(done)
		}
	}
	leftover := filepath.Join(from.CacheDir, "@test-tool-1.0.0.partial")
	if err := os.Mkdir(leftover, 0o755); err != nil { // of a process that was killed
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			root, err := from.fetch(t.Context(), "tool", packages, wantedOfWorkerd, "bin/workerd")
			if err != nil {
				t.Error(err)
				return
			}
			if got := list(t, root); len(got) != 1 || got[0] != "-rwxr-xr-x bin/workerd" {
				t.Errorf("files: %q", got)
			}
		})
	}
	group.Wait()
	if got := asked.Load(); got != 1 {
		t.Errorf("requests: got %d, want 1", got)
	}
	if told.Load() == 0 {
		t.Error("no progress was told")
	}
	if _, err := os.Stat(leftover); !os.IsNotExist(err) {
		t.Errorf("the leftover is still there: %v", err)
	}
	from.Client = nil
	if _, err := from.fetch(t.Context(), "tool", packages, wantedOfWorkerd, "bin/workerd"); err != nil {
		t.Errorf("from the cache: %v", err)
	}
}

func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		script  string
		change  func(*Tools, map[machine]program)
		wantErr string
	}{
		{name: "a program that does not run", script: "#!/bin/sh\necho no such library; exit 127\n", wantErr: "does not run on this machine"},
		{
			name: "another tarball than the pinned one", script: "#!/bin/sh\n", wantErr: "integrity does not match",
			change: func(_ *Tools, packages map[machine]program) {
				for on, pinned := range packages {
					pinned.integrity = "sha512-" + base64.StdEncoding.EncodeToString(make([]byte, sha512.Size))
					packages[on] = pinned
				}
			},
		},
		{
			name: "a machine without a package", script: "#!/bin/sh\n", wantErr: "there is no package for",
			change: func(_ *Tools, packages map[machine]program) { clear(packages) },
		},
		{
			name: "no cache folder", script: "#!/bin/sh\n", wantErr: "no cache folder",
			change: func(from *Tools, _ map[machine]program) { from.CacheDir = "" },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			from, packages, _ := registry(t, test.script)
			cache := from.CacheDir
			if test.change != nil {
				test.change(&from, packages)
			}
			_, err := from.fetch(t.Context(), "tool", packages, wantedOfWorkerd, "bin/workerd")
			if err == nil || !strings.Contains(err.Error(), test.wantErr) {
				t.Fatalf("got %v, want %q", err, test.wantErr)
			}
			folders, err := fs.Glob(os.DirFS(cache), "*tool-1.0.0")
			if err != nil || len(folders) != 0 {
				t.Errorf("the cache holds %q, %v", folders, err)
			}
		})
	}
}
