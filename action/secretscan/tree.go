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
	"syscall"
)

// scanTree scans the files of a folder. Symbolic links are not followed: what they point to is scanned
// where it is, or is not part of the folder. Where they lead is scanned as their text, as Git keeps it.
func scanTree(ctx context.Context, request Request) ([]Finding, error) {
	root, err := os.OpenRoot(request.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	defer root.Close()
	paths, prefix, err := filesOf(ctx, request.Dir, root)
	if errors.Is(err, ErrNotScanned) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	var found []Finding
	err = eachOf(ctx, request, func(_ context.Context, give func(folder) error) error {
		for _, f := range foldersOf(paths) {
			if err := give(f); err != nil {
				return err
			}
		}
		return nil
	}, func(s *searcher, f folder) ([]Finding, error) { return f.scan(s, root, prefix, request.Note) },
		func(_ folder, some []Finding) {
			if found = append(found, some...); request.more.fullScan(len(found) / 2) {
				found = request.more.keep(found, request.more.inScan)
			}
		})
	return found, errors.Join(err, noteAbsent(ctx, request, root, prefix))
}

// noteAbsent tells how many files a sparse checkout leaves out.
func noteAbsent(ctx context.Context, request Request, root *os.Root, prefix string) error {
	if sparse, err := git(ctx, request.Dir, "config", "--type=bool", "core.sparseCheckout"); err != nil || strings.TrimSpace(string(sparse)) != "true" {
		return nil //nolint:nilerr // no repository, or one that does not say so
	}
	list, err := git(ctx, request.Dir, "ls-files", "-z", "-t", "--cached")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	absent := 0
	for entry := range strings.SplitSeq(string(list), "\x00") {
		if path, skipped := strings.CutPrefix(entry, "S "); skipped && !defaultMatcher().allowsPath(prefix+path) {
			if _, err := root.Lstat(filepath.FromSlash(path)); isGone(err) {
				absent++
			}
		}
	}
	if absent > 0 {
		request.Note(fmt.Sprintf("the checkout is sparse: %d files of the commit are not in it and were not scanned", absent))
	}
	return nil
}

// folder is some files of one folder: a path that is opened once is not walked for each of them.
type folder struct {
	path  string // with a slash at its end, or empty
	names []string
}

// foldersOf groups files that follow one another.
func foldersOf(paths []string) (list []folder) {
	const most = 32 // so that all workers have something of a large folder
	for _, file := range paths {
		at := strings.LastIndexByte(file, '/') + 1
		if n := len(list); n == 0 || list[n-1].path != file[:at] || len(list[n-1].names) == most {
			list = append(list, folder{path: file[:at]})
		}
		last := &list[len(list)-1]
		last.names = append(last.names, file[at:])
	}
	return list
}

// scan scans the files.
func (f folder) scan(s *searcher, root *os.Root, prefix string, note func(string)) (found []Finding, err error) {
	var faults []error
	in := root
	opened := f.path == ""
	for _, name := range f.names {
		path := prefix + f.path + name
		if s.allowsPath(path) {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(f.path + name)) { // such as "aux.txt" on Windows
			note(fmt.Sprintf("%s can't be a file on this system and was not scanned", s.shown(path)))
			continue
		}
		if !opened {
			at := filepath.FromSlash(strings.TrimSuffix(f.path, "/"))
			if info, err := root.Lstat(at); isGone(err) || err == nil && !info.IsDir() {
				return nil, nil
			}
			if in, err = root.OpenRoot(at); err != nil {
				return nil, s.unread(prefix+f.path, err)
			}
			opened = true
			defer in.Close()
		}
		text, err := readFile(in, name)
		switch {
		case errors.Is(err, errFolder):
			if _, err := root.Lstat(filepath.Join(filepath.FromSlash(f.path+name), ".git")); err == nil {
				note(fmt.Sprintf("%s is a repository of its own and was not scanned", s.shown(strings.TrimSuffix(path, "/"))))
			}
			continue
		case isGone(err):
			continue
		case errors.Is(err, errTooLarge):
			some, err := s.largeFile(in, name, path, note)
			found, faults = append(found, some...), append(faults, err)
			continue
		case err != nil:
			faults = append(faults, s.unread(path, err))
			continue
		case text == nil:
			continue
		}
		some, err := s.file(path, text, []string{path})
		found, faults = append(found, some...), append(faults, err)
	}
	return found, errors.Join(faults...)
}

// largeFile scans a file that is too large to be held.
func (s *searcher) largeFile(in *os.Root, name, path string, note func(string)) ([]Finding, error) {
	file, err := in.Open(name)
	if err != nil {
		return nil, s.unread(path, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return nil, s.unread(path, err)
	} else if info.Size() > maxLarge {
		note(tooLarge(s.shown(path)))
		return nil, nil
	}
	return s.large(path, file, []string{path}, note)
}

// tooLarge is the note about something that is not scanned at all.
func tooLarge(name string) string {
	return fmt.Sprintf("%s is larger than %d GiB and was not scanned", name, maxLarge>>30)
}

// unread is the error of a file or folder. The system's own would repeat a secret in a name.
func (s *searcher) unread(path string, err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		err = named.Err
	}
	return fmt.Errorf("%w: %s: %w", ErrNotScanned, s.shown(path), err)
}

// isGone tells what was deleted, or made way for a file, but not yet in the index.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// filesOf lists the files of a folder, relative to it: what Git tracks or would track, or without Git
// everything. With the prefix they are relative to the repository.
func filesOf(ctx context.Context, dir string, root *os.Root) (paths []string, prefix string, err error) {
	if inside, err := git(ctx, dir, "rev-parse", "--is-inside-work-tree"); err == nil {
		if strings.TrimSpace(string(inside)) != "true" {
			return nil, "", errors.New("there is no working tree, as in a bare repository: scan the history")
		}
		list, err := git(ctx, dir, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
		if err != nil {
			return nil, "", err
		}
		below, err := git(ctx, dir, "rev-parse", "--show-prefix")
		if len(list) > 0 {
			paths = strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
		}
		return paths, strings.TrimRight(string(below), "\r\n"), err
	}
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return newSearcher(defaultMatcher()).unread(path, err)
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() || entry.Type()&fs.ModeSymlink != 0 {
			paths = append(paths, path)
		}
		return nil
	})
	return paths, "", err
}

var (
	errTooLarge = errors.New("too large")
	errFolder   = errors.New("a folder")
)

// readFile reads a regular file, or where a symbolic link leads; of anything else there is nothing to read.
func readFile(root *os.Root, path string) ([]byte, error) {
	if path == "" {
		return nil, errFolder
	}
	info, err := root.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errFolder
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := root.Readlink(path)
		return []byte(target), err
	}
	if !info.Mode().IsRegular() {
		return nil, nil
	}
	if info.Size() > maxText {
		return nil, errTooLarge
	}
	file, err := root.Open(path)
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
