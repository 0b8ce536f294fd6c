package npm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// cache is a folder of tarballs named after their digest. Files appear in it whole or not at all, so
// several processes may use it at once without a lock.
type cache struct{ folder string }

// find returns the path of a cached tarball whose content still matches want. One that no longer does is removed.
func (c cache) find(want integrity) (path string, found bool, err error) {
	for _, name := range want.files() {
		path := filepath.Join(c.folder, name)
		sum, err := sumFile(path, want)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", false, fmt.Errorf("cached tarball: %w", err)
		case want.accepts(sum):
			return path, true, nil
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", false, fmt.Errorf("remove the damaged tarball: %w", err)
		}
	}
	return "", false, nil
}

func sumFile(path string, want integrity) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	sum := want.algorithm.hash()
	if _, err := io.Copy(sum, file); err != nil {
		return nil, err
	}
	return sum.Sum(nil), nil
}

// store reads body to its end into a temporary file and gives it its place once its hash is acceptable.
// A body of more than limit bytes is ErrTooLarge, a wrong hash is ErrIntegrity.
func (c cache) store(body io.Reader, want integrity, limit int64) (path string, err error) {
	if err := os.MkdirAll(c.folder, 0o755); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	file, err := os.CreateTemp(c.folder, ".partial-*")
	if err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	defer func() {
		_ = file.Close()
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	sum := want.algorithm.hash()
	written, err := io.Copy(io.MultiWriter(file, sum), io.LimitReader(body, limit+1))
	if err != nil {
		return "", err
	}
	if written > limit {
		return "", fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	digest := sum.Sum(nil)
	if !want.accepts(digest) {
		return "", fmt.Errorf("%w: the registry gave %d bytes with another %s", ErrIntegrity, written, want.algorithm.name)
	}
	return c.place(file, integrity{algorithm: want.algorithm, digests: [][]byte{digest}}.files()[0])
}

func (c cache) place(file *os.File, name string) (string, error) {
	if err := file.Chmod(0o644); err != nil {
		return "", fmt.Errorf("store the tarball: %w", err)
	}
	if err := file.Sync(); err != nil {
		return "", fmt.Errorf("store the tarball: %w", err)
	}
	path := filepath.Join(c.folder, name)
	if err := os.Rename(file.Name(), path); err != nil {
		return "", fmt.Errorf("store the tarball: %w", err)
	}
	return path, nil
}
