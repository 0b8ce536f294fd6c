package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"

	"github.com/flaresmith/flaresmith/app/preview"
)

// ratioFloor is how much may be unpacked before the compression ratio counts: small files of
// zeros are harmless.
const ratioFloor = 16 << 20

// entry is one thing in an archive whose name has been checked. Content is read from the reader
// that walk hands out with it, and never holds more than Limits.FileBytes.
type entry struct {
	name string // below the top folder, slash-separated, local; empty for the top folder itself
	kind entryKind
	size int64
}

type entryKind int

const (
	entryFile entryKind = iota
	entryFolder
	entrySymlink
)

// archive walks a gzipped tar whose first path element is one folder that is cut off, as in
// GitHub's archives and npm's packages.
type archive struct {
	what   string // in errors: "the archive", "npm package hono@4.0.0"
	limits Limits
	commit string // after walk: the comment of the global header
}

// refused is an archive whose content breaks a rule.
func (a *archive) refused(format string, args ...any) error {
	return preview.Invalid(a.what+" can't be unpacked", preview.Problem{Message: fmt.Sprintf(format, args...)})
}

// walk calls visit for every entry in order. It stops at the first error.
func (a *archive) walk(ctx context.Context, r io.Reader, visit func(entry, io.Reader) error) error {
	packed := &countingReader{ctx: ctx, r: r}
	zr, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("read %s: %w", a.what, broken(err))
	}
	defer zr.Close()
	unpacked := &countingReader{ctx: ctx, r: zr}
	unpacked.check = func() error { return a.checkSize(packed.n, unpacked.n) }

	tr := tar.NewReader(unpacked)
	var total int64 // what the headers promise: a sparse file is larger than its bytes
	for count := 0; ; count++ {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", a.what, broken(err))
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			a.commit = hdr.PAXRecords["comment"]
			continue
		}
		if count >= a.limits.Files {
			return a.refused("it holds more than %d files and folders", a.limits.Files)
		}
		e, err := a.entry(hdr)
		if err != nil {
			return err
		}
		if total += e.size; total > a.limits.TotalBytes {
			return a.refused("it is larger than %d bytes unpacked", a.limits.TotalBytes)
		}
		if err := visit(e, tr); err != nil {
			return fmt.Errorf("unpack %q of %s: %w", e.name, a.what, broken(err))
		}
	}
}

// entry checks one header.
func (a *archive) entry(hdr *tar.Header) (entry, error) {
	name, err := a.cleanName(hdr.Name)
	if err != nil {
		return entry{}, err
	}
	e := entry{name: name}
	switch hdr.Typeflag {
	case tar.TypeReg:
		if name == "" {
			return entry{}, a.refused("the file %q is not inside a folder", hdr.Name)
		}
		if hdr.Size > a.limits.FileBytes {
			return entry{}, a.refused("%q is larger than %d bytes", name, a.limits.FileBytes)
		}
		e.size = hdr.Size
	case tar.TypeDir:
		e.kind = entryFolder
	case tar.TypeSymlink:
		e.kind = entrySymlink
	default:
		return entry{}, a.refused("%q is neither a file, a folder nor a symbolic link", name)
	}
	return e, nil
}

// cleanName checks a path as it stands in the archive and cuts the top folder off.
func (a *archive) cleanName(raw string) (string, error) {
	name := strings.TrimSuffix(raw, "/")
	name = strings.TrimPrefix(name, "./")
	switch {
	case len(name) > a.limits.PathBytes:
		return "", a.refused("the path %.80q… is longer than %d bytes", name, a.limits.PathBytes)
	case !utf8.ValidString(name) || strings.ContainsAny(name, "\\\x00"):
		return "", a.refused("the path %q holds a backslash, a NUL or no valid UTF-8", name)
	case name == "" || name[0] == '/':
		return "", a.refused("the path %q is not relative", raw)
	}
	parts := strings.Split(name, "/")
	if len(parts) > a.limits.Depth+1 {
		return "", a.refused("%q is deeper than %d folders", name, a.limits.Depth)
	}
	for _, part := range parts {
		switch {
		case part == "" || part == "." || part == "..":
			return "", a.refused("the path %q is not plain", name)
		case len(part) > 255:
			return "", a.refused("a name in %q is longer than 255 bytes", name)
		case len(part) >= 2 && part[1] == ':':
			return "", a.refused("the path %q names a drive", name)
		}
	}
	rest := strings.Join(parts[1:], "/")
	if rest != "" && !filepath.IsLocal(filepath.FromSlash(rest)) {
		return "", a.refused("the path %q is not local", name)
	}
	return rest, nil
}

func (a *archive) checkSize(packed, unpacked int64) error {
	if unpacked > a.limits.TotalBytes {
		return a.refused("it is larger than %d bytes unpacked", a.limits.TotalBytes)
	}
	if unpacked > ratioFloor && unpacked/a.limits.Ratio > packed {
		return a.refused("it unpacks to more than %d times its size", a.limits.Ratio)
	}
	return nil
}

// broken classes a failure to read: a stream that ends early or is garbled may be whole the
// next time; what has a class keeps it.
func broken(err error) error {
	var invalid *preview.InvalidError
	var transient *preview.TransientError
	switch {
	case errors.As(err, &invalid), errors.As(err, &transient):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, gzip.ErrChecksum),
		errors.Is(err, gzip.ErrHeader), errors.Is(err, tar.ErrHeader):
		return preview.Transient(err)
	}
	return err
}

// countingReader counts what passes, runs check after each read, and ends with the context.
type countingReader struct {
	ctx   context.Context // of the one walk that this reader lives for
	r     io.Reader
	n     int64
	check func() error
}

func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.check != nil {
		if cerr := c.check(); cerr != nil {
			return 0, cerr
		}
	}
	return n, err
}
