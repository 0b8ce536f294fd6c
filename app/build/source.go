package build

import (
	"io/fs"
	"os"
)

// Source is the unpacked archive: a read-only file system that can't be left by any path. It
// holds regular files and folders only. It may be used by many goroutines at once.
type Source struct {
	// Commit is the SHA that the archive says it was made at; empty when it says none.
	Commit string
	// Links names the symbolic links of the archive. They are not unpacked: to every reader
	// they do not exist.
	Links []string

	dir  string
	root *os.Root
	fsys rootFS
}

// rootFS is what os.Root.FS gives.
type rootFS interface {
	fs.StatFS
	fs.ReadFileFS
	fs.ReadDirFS
}

// Open implements fs.FS.
func (s *Source) Open(name string) (fs.File, error) { return s.fsys.Open(name) }

// Stat implements fs.StatFS.
func (s *Source) Stat(name string) (fs.FileInfo, error) { return s.fsys.Stat(name) }

// ReadFile implements fs.ReadFileFS.
func (s *Source) ReadFile(name string) ([]byte, error) { return s.fsys.ReadFile(name) }

// ReadDir implements fs.ReadDirFS.
func (s *Source) ReadDir(name string) ([]fs.DirEntry, error) { return s.fsys.ReadDir(name) }

// Close removes the folder with everything in it.
func (s *Source) Close() error {
	err := s.root.Close()
	if rerr := os.RemoveAll(s.dir); rerr != nil {
		return rerr
	}
	return err
}
