package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	lockName     = "package-lock.json"
	maxLockBytes = 32 << 20
)

// lockfile is npm's package-lock.json: which package at which version stands in which
// node_modules folder.
type lockfile struct {
	path string // of the file, from the root of the repository
	dir  string // of the file: "." or a path
	// packages by folder relative to dir, e.g. "node_modules/a/node_modules/b".
	packages map[string]locked
	// wanted are the dependencies (not the development ones) of the root package.
	wanted []string
}

// locked is one entry. Whether it can be used is only asked when something imports it, so that
// development tools of any kind may stand in the file.
type locked struct {
	Name         string            `json:"name"` // only when it differs from the folder's
	Version      string            `json:"version"`
	Resolved     string            `json:"resolved"`
	Integrity    string            `json:"integrity"`
	Link         bool              `json:"link"`
	InBundle     bool              `json:"inBundle"`
	Dependencies map[string]string `json:"dependencies"`
}

var (
	packageName    = regexp.MustCompile(`^(?:@[a-z0-9~-][a-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*$`)
	packageVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*$`)
	packageSRI     = regexp.MustCompile(`^sha(?:512|384|256|1)-[A-Za-z0-9+/]+={0,2}(?: sha(?:512|384|256|1)-[A-Za-z0-9+/]+={0,2})*$`)
)

// findLock reads the lock file nearest to dir, up to the root. Without one it is nil and
// missing says what to tell somebody who imports a package.
func findLock(src fs.FS, dir string) (lock *lockfile, missing preview.Problem, err error) {
	missing = preview.Problem{Message: "there is no package-lock.json", Hint: "run npm install and commit package-lock.json"}
	for {
		name := path.Join(dir, lockName)
		data, err := readLimited(src, name, maxLockBytes)
		switch {
		case err == nil:
			lock, problem := parseLock(name, data)
			if problem != nil {
				return nil, missing, &preview.InvalidError{What: "the lock file can't be used", Problems: []preview.Problem{*problem}}
			}
			return lock, missing, nil
		case errors.Is(err, errTooLarge):
			return nil, missing, preview.Invalid("the lock file can't be used", preview.Problem{Path: name, Message: err.Error()})
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNoFile):
			return nil, missing, fmt.Errorf("read %s: %w", name, err)
		}
		for _, other := range []string{"pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "npm-shrinkwrap.json"} {
			if _, err := fs.Stat(src, path.Join(dir, other)); err == nil && missing.Path == "" {
				missing.Path = path.Join(dir, other)
				missing.Message = "there is no package-lock.json, and " + other + " is not supported yet"
				missing.Hint = "run npm install --package-lock-only and commit package-lock.json"
			}
		}
		if dir == "." {
			return nil, missing, nil
		}
		dir = path.Dir(dir)
	}
}

// parseLock reads the text of a lock file.
func parseLock(name string, data []byte) (*lockfile, *preview.Problem) {
	var file struct {
		LockfileVersion int                        `json:"lockfileVersion"`
		Packages        map[string]json.RawMessage `json:"packages"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		p := &preview.Problem{Path: name, Message: "the file is no valid lock file: " + err.Error(), Hint: "run npm install and commit package-lock.json"}
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at := newLines(data).place(int(syntax.Offset))
			p.Line, p.Column = at.line, at.column
		}
		return nil, p
	}
	if file.LockfileVersion != 2 && file.LockfileVersion != 3 {
		return nil, &preview.Problem{Path: name, Message: fmt.Sprintf("lockfileVersion %d is not supported, only 2 and 3 are", file.LockfileVersion),
			Hint: "run npm install --lockfile-version 3 and commit package-lock.json"}
	}
	lock := &lockfile{path: name, dir: path.Dir(name), packages: make(map[string]locked, len(file.Packages))}
	for folder, raw := range file.Packages {
		var entry locked
		if err := json.Unmarshal(raw, &entry); err != nil {
			return nil, &preview.Problem{Path: name, Message: fmt.Sprintf("the entry %q is malformed", folder), Hint: "run npm install and commit package-lock.json"}
		}
		if folder == "" {
			for dependency := range entry.Dependencies {
				lock.wanted = append(lock.wanted, dependency)
			}
			continue
		}
		// What is bundled lies inside the tarball of the package around it. A folder without
		// node_modules is a workspace: its files are in the repository.
		if entry.InBundle || !fs.ValidPath(folder) || !strings.Contains("/"+folder, "/node_modules/") {
			continue
		}
		lock.packages[folder] = entry
	}
	return lock, nil
}

// nearest finds the entry that holds a path (relative to the lock file's folder), and the rest
// of the path below it. ok is false when the path is below no entry.
func (l *lockfile) nearest(name string) (folder string, entry locked, rest string, ok bool) {
	const mark = "node_modules/"
	for end := len(name); ; {
		i := strings.LastIndex("/"+name[:end], "/"+mark)
		if i < 0 {
			return "", locked{}, "", false
		}
		start := i + len(mark) // of the package's name
		folder, rest = cutPackage(name[start:])
		folder = name[:start] + folder
		if entry, ok = l.packages[folder]; ok {
			return folder, entry, rest, true
		}
		end = i
	}
}

// cutPackage splits "@scope/name/rest" or "name/rest" after the name.
func cutPackage(specifier string) (name, rest string) {
	name, rest, _ = strings.Cut(specifier, "/")
	if strings.HasPrefix(name, "@") {
		scoped, after, _ := strings.Cut(rest, "/")
		name, rest = name+"/"+scoped, after
	}
	return name, rest
}

// check says why an entry can't be fetched from the registry; empty when it can.
func (e locked) check(folder string) string {
	name := e.name(folder)
	scheme, _, hasScheme := strings.Cut(e.Resolved, ":")
	switch {
	case !packageName.MatchString(name) || len(name) > 214:
		return fmt.Sprintf("the package name %q is malformed", name)
	case hasScheme && scheme != "https" && scheme != "http":
		return fmt.Sprintf("the package %q comes from %q: only packages of the npm registry can be used", name, scheme+":")
	case !packageVersion.MatchString(e.Version) || len(e.Version) > 128:
		return fmt.Sprintf("the package %q has no version of the npm registry in the lock file", name)
	case e.Integrity == "":
		return fmt.Sprintf("the package %q has no integrity in the lock file", name)
	case !packageSRI.MatchString(e.Integrity) || len(e.Integrity) > 1024:
		return fmt.Sprintf("the integrity of the package %q is malformed", name)
	}
	return ""
}

// name is the package's own name: an alias stands in a folder of another name.
func (e locked) name(folder string) string {
	if e.Name != "" {
		return e.Name
	}
	return folder[strings.LastIndex("/"+folder, "/node_modules/")+len("node_modules/"):]
}
