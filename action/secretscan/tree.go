package secretscan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// scanTree scans the files of a folder. Symbolic links are not followed: what they point to is scanned
// where it is, or is not part of the folder.
func scanTree(ctx context.Context, request Request) ([]Finding, error) {
	root, err := os.OpenRoot(request.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	defer root.Close()
	paths, prefix, err := filesOf(ctx, request.Dir, root)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	m := defaultMatcher()
	var found []Finding
	err = eachOf(ctx, func(_ context.Context, give func(string) error) error {
		for _, path := range paths {
			if err := give(path); err != nil {
				return err
			}
		}
		return nil
	}, func(s *searcher, name string) ([]Finding, error) {
		path := prefix + name
		if m.allowsPath(path) {
			return nil, nil
		}
		text, err := readFile(root, name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // deleted, but not yet in the index
			return nil, nil
		case errors.Is(err, errTooLarge):
			request.Note(fmt.Sprintf("%s is larger than %d MiB and was not scanned", s.shown(path), maxText>>20))
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
		case text == nil:
			return nil, nil
		}
		return s.file(path, text, []string{path})
	}, func(_ string, some []Finding) { found = append(found, some...) })
	return found, err
}

// filesOf lists the files of a folder, relative to it: what Git tracks or would track, or without Git
// everything. With the prefix they are relative to the repository.
func filesOf(ctx context.Context, dir string, root *os.Root) (paths []string, prefix string, err error) {
	if inside, err := git(ctx, dir, "rev-parse", "--is-inside-work-tree"); err == nil && strings.TrimSpace(string(inside)) == "true" {
		list, err := git(ctx, dir, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
		if err != nil {
			return nil, "", err
		}
		below, err := git(ctx, dir, "rev-parse", "--show-prefix")
		return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00"), strings.TrimRight(string(below), "\r\n"), err
	}
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() {
			paths = append(paths, path)
		}
		return nil
	})
	return paths, "", err
}

var errTooLarge = errors.New("too large")

// readFile reads a regular file; of anything else there is nothing to read.
func readFile(root *os.Root, path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	info, err := root.Lstat(filepath.FromSlash(path))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil
	}
	if info.Size() > maxText {
		return nil, errTooLarge
	}
	file, err := root.Open(filepath.FromSlash(path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text := make([]byte, info.Size(), info.Size()+1)
	n, err := io.ReadFull(file, text)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return text[:n], err
}
