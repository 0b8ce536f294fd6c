package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/flaresmith/flaresmith/app/npm"
	"github.com/flaresmith/flaresmith/app/preview"
)

// maxLinks bounds how many workspace links one path may lead through.
const maxLinks = 8

// tree is everything that one build can see, as one folder: the repository, and the packages of
// the lock file where npm would have put them. A node_modules folder in the repository itself
// is not seen.
type tree struct {
	ctx    context.Context // of the one build that the tree lives for
	src    fs.FS
	lock   *lockfile // nil: none
	store  *store
	limits Limits

	mu        sync.Mutex
	used      map[string]struct{} // folders of packages
	manifests map[string]*manifest
	fatal     error // the first failure that is not the user's
}

// spot is where a path of the tree really is.
type spot struct {
	name   string // path in the tree, links followed
	folder string // of the package in the tree; empty: in the repository
	inside string // path inside the package
	pack   *pack
}

// problemError is something that the user must fix.
type problemError struct{ problem preview.Problem }

func (e *problemError) Error() string { return e.problem.Message }

// locate finds the package that a path lies in and loads it. It says fs.ErrNotExist for a
// package that is not locked, and a *problemError for one that can't be used.
func (t *tree) locate(name string) (spot, error) {
	for range maxLinks {
		if !strings.Contains("/"+name+"/", "/node_modules/") {
			return spot{name: name}, nil
		}
		relative, ok := t.belowLock(name)
		if !ok {
			return spot{}, fs.ErrNotExist
		}
		folder, entry, rest, ok := t.lock.nearest(relative)
		if !ok {
			return spot{}, fs.ErrNotExist
		}
		if !entry.Link {
			pack, err := t.load(folder, entry)
			return spot{name: name, folder: path.Join(t.lock.dir, folder), inside: rest, pack: pack}, err
		}
		name = path.Join(t.lock.dir, entry.Resolved, rest)
		if !fs.ValidPath(name) || strings.ContainsAny(entry.Resolved, "\\\x00:") || strings.HasPrefix(entry.Resolved, "/") {
			return spot{}, t.locked(fmt.Sprintf("the package %q is linked to a folder outside the repository", entry.name(folder)))
		}
	}
	return spot{}, t.locked("workspace links lead in a circle")
}

func (t *tree) belowLock(name string) (string, bool) {
	if t.lock == nil {
		return "", false
	}
	if t.lock.dir == "." {
		return name, true
	}
	return strings.CutPrefix(name, t.lock.dir+"/")
}

func (t *tree) locked(message string) error {
	return &problemError{preview.Problem{Path: t.lock.path, Message: message}}
}

// load fetches a package when the build first needs it.
func (t *tree) load(folder string, entry locked) (*pack, error) {
	if message := entry.check(folder); message != "" {
		return nil, t.locked(message)
	}
	if !t.admit(folder) {
		return nil, t.locked(fmt.Sprintf("the Worker needs more than %d packages", t.limits.Packages))
	}
	name := entry.name(folder)
	pack, err := t.store.get(t.ctx, name, entry.Version, entry.Integrity)
	var invalid *preview.InvalidError
	switch {
	case err == nil:
		return pack, nil
	case errors.As(err, &invalid):
		return nil, t.locked(invalid.Error())
	case errors.Is(err, npm.ErrNotFound):
		return nil, t.locked(fmt.Sprintf("the npm registry has no package %s@%s", name, entry.Version))
	case errors.Is(err, npm.ErrIntegrity), errors.Is(err, npm.ErrInvalid), errors.Is(err, npm.ErrTooLarge):
		return nil, t.locked(err.Error())
	case errors.Is(err, npm.ErrUnavailable):
		return nil, t.fail(preview.Transient(err))
	}
	return nil, t.fail(err)
}

func (t *tree) admit(folder string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used[folder] = struct{}{}
	return len(t.used) <= t.limits.Packages
}

// fail remembers a failure that ends the build and is not the user's.
func (t *tree) fail(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fatal == nil {
		t.fatal = err
	}
	return t.fatal
}

func (t *tree) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fatal
}

// read returns the content of a file and where it is. Errors: fs.ErrNotExist, errNoFile,
// errTooLarge, *problemError; anything else has ended the build.
func (t *tree) read(name string) (string, spot, error) {
	at, err := t.locate(name)
	if err != nil {
		return "", at, err
	}
	if at.pack != nil {
		text, ok := at.pack.files[at.inside]
		switch {
		case !ok:
			return "", at, fs.ErrNotExist
		case int64(len(text)) > t.limits.SourceBytes:
			return "", at, fmt.Errorf("the file is %w: more than %d bytes", errTooLarge, t.limits.SourceBytes)
		}
		return text, at, nil
	}
	data, err := readLimited(t.src, at.name, t.limits.SourceBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNoFile) && !errors.Is(err, errTooLarge) {
		return "", at, fmt.Errorf("%q can't be read: %w", at.name, errNoFile)
	}
	return string(data), at, err
}

// file reports whether name is a file. Only errors that are no mere absence are returned.
func (t *tree) file(name string) (bool, error) {
	at, err := t.locate(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case at.pack != nil:
		_, ok := at.pack.files[at.inside]
		return ok, nil
	}
	info, err := fs.Stat(t.src, at.name)
	return err == nil && info.Mode().IsRegular(), nil
}

// real follows workspace links, so that one file has one name.
func (t *tree) real(name string) string {
	if at, err := t.locate(name); err == nil {
		return at.name
	}
	return name
}

// prefetch loads what the root package depends on, and what that depends on, until ctx ends.
// It is only a head start: its failures are met again, with a place, if something imports them.
func (t *tree) prefetch(ctx context.Context, workers int) {
	if t.lock == nil {
		return
	}
	seen := map[string]bool{}
	queue := make([]string, 0, len(t.lock.wanted))
	add := func(from string, names []string) {
		for _, name := range names {
			for dir := from; ; dir = path.Dir(dir) {
				folder := path.Join(dir, "node_modules", name)
				if entry, ok := t.lock.packages[folder]; ok {
					if _, inside := t.lock.packages[entry.Resolved]; entry.Link && inside {
						folder = entry.Resolved
					}
					if !seen[folder] {
						seen[folder] = true
						queue = append(queue, folder)
					}
					break
				}
				if dir == "." {
					break
				}
			}
		}
	}
	add(t.lock.from, t.lock.wanted)
	var group sync.WaitGroup
	slots := make(chan struct{}, workers)
	for i := 0; i < len(queue) && i < t.limits.Packages; i++ {
		entry := t.lock.packages[queue[i]]
		names := make([]string, 0, len(entry.Dependencies))
		for name := range entry.Dependencies {
			names = append(names, name)
		}
		add(queue[i], names)
		if entry.Link || entry.check(queue[i]) != "" {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			group.Wait()
			return
		}
		folder := queue[i]
		group.Go(func() {
			defer func() { <-slots }()
			_, _ = t.store.get(ctx, entry.name(folder), entry.Version, entry.Integrity)
		})
	}
	group.Wait()
}
