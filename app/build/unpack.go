package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"syscall"
)

// Unpack reads a gzipped tar as GitHub serves it (one top folder, which is cut off) into dir,
// which is made and must be empty if it is there. The caller closes the Source, which removes
// dir; after an error dir is gone.
//
// Refused, as a *preview.InvalidError: paths that are absolute, hold "..", a backslash, a drive
// or a NUL, or appear twice; hard links, devices and pipes; whatever breaks a limit. Symbolic
// links are left out and named in Source.Links: nothing ever follows one. A stream that breaks
// off is a *preview.TransientError. Files are written through an os.Root, without the
// permissions of the archive.
func Unpack(ctx context.Context, r io.Reader, dir string, limits Limits) (_ *Source, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("unpack archive: %w", err)
	}
	if err := makeEmpty(dir); err != nil {
		return nil, fmt.Errorf("unpack archive: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("unpack archive: %w", err)
	}
	fsys, ok := root.FS().(rootFS)
	if !ok {
		return nil, errors.Join(errors.New("unpack archive: os.Root gives no full file system"), root.Close())
	}
	src := &Source{dir: dir, root: root, fsys: fsys}
	a := &archive{what: "the archive of the repository", limits: limits.withDefaults()}
	if err := a.walk(ctx, r, src.write(a)); err != nil {
		return nil, errors.Join(err, src.Close())
	}
	src.Commit = a.commit
	sort.Strings(src.Links)
	return src, nil
}

func makeEmpty(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("folder %s is not empty", filepath.Base(dir))
	}
	return nil
}

// write stores the entries of an archive below the root.
func (s *Source) write(a *archive) func(entry, io.Reader) error {
	made := map[string]bool{".": true}
	var mkdir func(name string) error
	mkdir = func(name string) error {
		if name == "" || made[name] {
			return nil
		}
		if err := mkdir(path.Dir(name)); err != nil {
			return err
		}
		if len(made) > a.limits.Files {
			return a.refused("it holds more than %d folders", a.limits.Files)
		}
		made[name] = true
		return s.root.Mkdir(filepath.FromSlash(name), 0o700)
	}
	return func(e entry, content io.Reader) error {
		switch e.kind {
		case entryFolder:
			return a.collision(e.name, mkdir(e.name))
		case entrySymlink:
			s.Links = append(s.Links, e.name)
			return nil
		}
		if err := mkdir(path.Dir(e.name)); err != nil {
			return a.collision(e.name, err)
		}
		f, err := s.root.OpenFile(filepath.FromSlash(e.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return a.collision(e.name, err)
		}
		if _, err := io.Copy(f, content); err != nil {
			return errors.Join(err, f.Close())
		}
		return f.Close()
	}
}

// collision turns "exists already" into the user's error: nobody but the archive writes here.
func (a *archive) collision(name string, err error) error {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) {
		return a.refused("%q appears twice, or as a file and a folder", name)
	}
	return err
}
