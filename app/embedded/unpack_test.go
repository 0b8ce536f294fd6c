package embedded

import (
	"archive/tar"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type entry struct {
	name, content, link string
	mode                int64
	kind                byte
}

func tarball(t *testing.T, entries []entry) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "package.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	packed := gzip.NewWriter(file)
	archive := tar.NewWriter(packed)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Typeflag: e.kind, Linkname: e.link}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	for _, close := range []func() error{archive.Close, packed.Close, file.Close} {
		if err := close(); err != nil {
			t.Fatal(err)
		}
	}
	return file.Name()
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	file := func(name, content string) entry {
		return entry{name: name, content: content, mode: 0o644, kind: tar.TypeReg}
	}
	tests := []struct {
		name    string
		entries []entry
		want    []string // mode, name
		wantErr string
	}{
		{
			name: "files, programs and listed links",
			entries: []entry{
				file("package/native/lib/libpq.so.5.17", "x"),
				{name: "package/native/bin/postgres", content: "x", mode: 0o700, kind: tar.TypeReg},
				file("package/native/pg-symlinks.json", `[{"source":"native/lib/libpq.so.5.17","target":"native/lib/libpq.so.5"}]`),
			},
			want: []string{
				"-rwxr-xr-x native/bin/postgres", "Lrwxrwxrwx native/lib/libpq.so.5 -> libpq.so.5.17",
				"-rw-r--r-- native/lib/libpq.so.5.17", "-rw-r--r-- native/pg-symlinks.json",
			},
		},
		{
			name: "links and devices of the archive are left out",
			entries: []entry{
				{name: "package/passwd", link: "/etc/passwd", kind: tar.TypeSymlink},
				{name: "package/hosts", link: "/etc/hosts", kind: tar.TypeLink},
				{name: "package/null", kind: tar.TypeChar},
				file("package/a", "x"),
			},
			want: []string{"-rw-r--r-- a"},
		},
		{name: "parent folder", entries: []entry{file("package/a/../../../b", "x")}, wantErr: "not a path inside the package"},
		{name: "absolute path", entries: []entry{file("//b", "x")}, wantErr: "not a path inside the package"},
		{name: "the same file twice", entries: []entry{file("package/a", "x"), file("package/a", "y")}, wantErr: "exists"},
		{
			name:    "link out of its folder",
			entries: []entry{file("package/native/pg-symlinks.json", `[{"source":"../../etc/passwd","target":"native/passwd"}]`)},
			wantErr: "no link within its folder",
		},
		{
			name:    "absolute link",
			entries: []entry{file("package/native/pg-symlinks.json", `[{"source":"/etc/passwd","target":"/etc/x"}]`)},
			wantErr: "no link within its folder",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			err := unpack(t.Context(), tarball(t, test.entries), folder, func(string) bool { return true })
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("got %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, list(t, folder)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func list(t *testing.T, folder string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		line := info.Mode().String() + " " + name
		if target, err := os.Readlink(path); err == nil {
			line += " -> " + target
		}
		found = append(found, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPackagesCoverTheMachines(t *testing.T) {
	t.Parallel()
	for _, packages := range []map[machine]program{postgresPackages(), workerdPackages()} {
		for _, os := range []string{"linux", "darwin"} {
			for _, arch := range []string{"amd64", "arm64"} {
				if got := packages[machine{os, arch}]; !strings.HasPrefix(got.integrity, "sha512-") || len(got.integrity) != 95 {
					t.Errorf("%s/%s: %+v", os, arch, got)
				}
			}
		}
	}
}
