package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// tarball packs entries into a gzipped tar.
func tarball(tb testing.TB, entries ...tar.Header) []byte {
	tb.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for _, e := range entries {
		content := e.Uname // the tests keep a file's content here
		e.Uname = ""
		if e.Typeflag == 0 {
			e.Typeflag = tar.TypeReg
		}
		if e.Typeflag == tar.TypeReg {
			e.Size = int64(len(content))
		}
		if e.Typeflag != tar.TypeXGlobalHeader {
			e.Mode = 0o777
		}
		if err := tw.WriteHeader(&e); err != nil {
			tb.Fatal(err)
		}
		if e.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(tw, content); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func file(name, content string) tar.Header { return tar.Header{Name: name, Uname: content} }

// tarballOf packs an npm package.
func tarballOf(tb testing.TB, files map[string]string, names []string) []byte {
	tb.Helper()
	entries := make([]tar.Header, 0, len(names))
	for _, name := range names {
		entries = append(entries, file("package/"+name, files[name]))
	}
	return tarball(tb, entries...)
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	const sha = "0123456789012345678901234567890123456789"
	data := tarball(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": sha}},
		tar.Header{Typeflag: tar.TypeDir, Name: "octo-app-0123456/"},
		tar.Header{Typeflag: tar.TypeDir, Name: "octo-app-0123456/src/"},
		file("octo-app-0123456/src/index.ts", "export default {}"),
		file("octo-app-0123456/a/b/c.txt", "deep"),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "octo-app-0123456/link", Linkname: "/etc/passwd"},
	)
	dir := filepath.Join(t.TempDir(), "source")
	src, err := Unpack(t.Context(), bytes.NewReader(data), dir, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(src, "src/index.ts", "a/b/c.txt"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"link"}, src.Links); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if src.Commit != sha {
		t.Errorf("commit %q", src.Commit)
	}
	if _, err := src.ReadFile("link"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading the link: %v", err)
	}
	if info, err := src.Stat("src/index.ts"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: permissions of the archive must not count", info.Mode(), err)
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	small := Limits{TotalBytes: 4096, FileBytes: 1000, Files: 4, Depth: 3, PathBytes: 60}
	tests := []struct {
		name    string
		entries []tar.Header
		want    string
	}{
		{"absolute path", []tar.Header{file("/etc/passwd", "x")}, "not relative"},
		{"parent", []tar.Header{file("top/../../x", "x")}, "not plain"},
		{"parent as the top folder", []tar.Header{file("../x", "x")}, "not plain"},
		{"backslash", []tar.Header{file(`top/..\x`, "x")}, "backslash"},
		{"drive", []tar.Header{file("top/C:/x", "x")}, "drive"},
		{"no top folder", []tar.Header{file("x", "x")}, "not inside a folder"},
		{"hard link", []tar.Header{{Typeflag: tar.TypeLink, Name: "top/x", Linkname: "/etc/passwd"}}, "neither a file"},
		{"device", []tar.Header{{Typeflag: tar.TypeChar, Name: "top/x"}}, "neither a file"},
		{"pipe", []tar.Header{{Typeflag: tar.TypeFifo, Name: "top/x"}}, "neither a file"},
		{"through a file", []tar.Header{file("top/x", "x"), file("top/x/y", "y")}, "appears twice"},
		{"twice", []tar.Header{file("top/x", "x"), file("top/x", "y")}, "appears twice"},
		{"large file", []tar.Header{file("top/x", strings.Repeat("x", 1001))}, "larger than 1000"},
		{"large sum", []tar.Header{file("top/a", strings.Repeat("x", 999)), file("top/b", strings.Repeat("x", 999)), file("top/c", strings.Repeat("x", 999))}, "larger than 4096"},
		{"many", []tar.Header{file("top/a", ""), file("top/b", ""), file("top/c", ""), file("top/d", ""), file("top/e", "")}, "more than 4"},
		{"deep", []tar.Header{file("top/a/b/c/d", "")}, "deeper"},
		{"long", []tar.Header{file("top/"+strings.Repeat("x", 60), "")}, "longer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "source")
			_, err := Unpack(t.Context(), bytes.NewReader(tarball(t, tt.entries...)), dir, small)
			var invalid *preview.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an InvalidError with %q", err, tt.want)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the folder is still there: %v", err)
			}
		})
	}
}

func TestUnpackBomb(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	data := tarball(t, file("top/zeros", strings.Repeat("\x00", 40<<20)))
	_, err := Unpack(t.Context(), bytes.NewReader(data), filepath.Join(t.TempDir(), "s"), Limits{})
	if preview.Classify(err) != preview.ClassInvalid || !strings.Contains(err.Error(), "times its size") {
		t.Errorf("got %v", err)
	}
}

func TestUnpackBrokenStream(t *testing.T) {
	t.Parallel()
	data := tarball(t, file("top/x", strings.Repeat("abc", 1000)))
	for _, part := range [][]byte{nil, data[:5], data[:len(data)/2], []byte("this is no gzip")} {
		_, err := Unpack(t.Context(), bytes.NewReader(part), filepath.Join(t.TempDir(), "s"), Limits{})
		if preview.Classify(err) != preview.ClassTransient {
			t.Errorf("%d bytes: got %v, want a transient error", len(part), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Unpack(ctx, bytes.NewReader(data), filepath.Join(t.TempDir(), "s"), Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestUnpackNeedsEmptyFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(t.Context(), bytes.NewReader(tarball(t, file("top/x", ""))), dir, Limits{}); err == nil {
		t.Error("a folder that holds something was taken")
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add("top/x", byte(tar.TypeReg), "content", "")
	f.Add("top/../x", byte(tar.TypeSymlink), "", "/etc")
	f.Add("./top/a//b", byte(tar.TypeDir), "", "")
	f.Fuzz(func(t *testing.T, name string, kind byte, content, link string) {
		var b bytes.Buffer
		zw := gzip.NewWriter(&b)
		tw := tar.NewWriter(zw)
		hdr := &tar.Header{Name: name, Typeflag: kind, Linkname: link, Mode: 0o644, Size: int64(len(content))}
		if tw.WriteHeader(hdr) != nil {
			t.Skip()
		}
		_, _ = io.WriteString(tw, content)
		_ = tw.Flush()
		_ = zw.Close()
		parent := t.TempDir()
		src, err := Unpack(t.Context(), &b, filepath.Join(parent, "in"), Limits{})
		if err == nil {
			defer src.Close()
			_ = fs.WalkDir(src, ".", func(p string, d fs.DirEntry, err error) error {
				if err != nil || (!d.IsDir() && !d.Type().IsRegular()) {
					t.Errorf("%q: %v %v", p, d, err)
				}
				return nil
			})
		}
		entries, _ := os.ReadDir(parent)
		for _, e := range entries {
			if e.Name() != "in" {
				t.Errorf("%q was written beside the folder", e.Name())
			}
		}
	})
}
