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

// The programs whose lock files are read, as package.json's "packageManager" calls them.
const (
	managerNPM  = "npm"
	managerPNPM = "pnpm"
)

// lockfile says which package at which version stands in which node_modules folder, as npm's
// package-lock.json or pnpm's pnpm-lock.yaml has it.
type lockfile struct {
	path    string // of the file, from the root of the repository
	dir     string // of the file: "." or a path
	manager string // who wrote it
	// packages by folder relative to dir, e.g. "node_modules/a/node_modules/b".
	packages map[string]locked
	// wanted are the dependencies (not the development ones) of the package in the folder from,
	// which is relative to dir.
	wanted []string
	from   string
	// single has, by name, the folder of each package of pnpm's that stands there only once.
	single map[string]string
}

// install is what somebody runs to bring the file up to date, with the name of a package or none.
func (l *lockfile) install(name string) string {
	verb := "npm install"
	if l.manager == managerPNPM {
		if verb = "pnpm install"; name != "" {
			verb = "pnpm add"
		}
	}
	return strings.TrimSpace("run "+verb+" "+name) + " and commit " + path.Base(l.path)
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

	refusal string // why it can't be used, if that is known already
}

var (
	packageName    = regexp.MustCompile(`^(?:@[a-z0-9~-][a-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*$`)
	packageVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*$`)
	packageSRI     = regexp.MustCompile(`^sha(?:512|384|256|1)-[A-Za-z0-9+/]+={0,2}(?: sha(?:512|384|256|1)-[A-Za-z0-9+/]+={0,2})*$`)
)

const whatLock = "the lock file can't be used"

// findLock reads the lock file nearest to dir, up to the root. Without one it is nil and
// missing says what to tell somebody who imports a package.
func findLock(src fs.FS, dir string) (lock *lockfile, missing preview.Problem, err error) {
	missing = preview.Problem{Message: "there is no package-lock.json or pnpm-lock.yaml", Hint: "run npm install and commit package-lock.json"}
	for folder := dir; ; folder = path.Dir(folder) {
		manager, err := chooseLock(src, folder)
		switch {
		case err != nil:
			return nil, missing, err
		case manager != "":
			lock, err := readLock(src, manager, folder, dir)
			return lock, missing, err
		}
		for _, other := range []string{"yarn.lock", "bun.lock", "bun.lockb", "npm-shrinkwrap.json"} {
			if isFile(src, path.Join(folder, other)) && missing.Path == "" {
				missing.Path = path.Join(folder, other)
				missing.Message += ", and " + other + " is not supported"
				missing.Hint = "run npm install --package-lock-only and commit package-lock.json"
			}
		}
		if folder == "." {
			return nil, missing, nil
		}
	}
}

// chooseLock says whose lock file counts in a folder; empty when there is none. Of two, it is the
// one that package.json names as its "packageManager".
func chooseLock(src fs.FS, dir string) (string, error) {
	npm, pnpm := isFile(src, path.Join(dir, lockName)), isFile(src, path.Join(dir, pnpmLockName))
	switch {
	case npm && pnpm:
	case npm:
		return managerNPM, nil
	case pnpm:
		return managerPNPM, nil
	default:
		return "", nil
	}
	var manifest struct {
		PackageManager string `json:"packageManager"`
	}
	// A file that can't be read names nothing.
	if data, err := readLimited(src, path.Join(dir, "package.json"), maxManifestBytes); err == nil {
		_ = json.Unmarshal(data, &manifest)
	}
	switch name, _, _ := strings.Cut(manifest.PackageManager, "@"); name {
	case managerNPM, managerPNPM:
		return name, nil
	}
	return "", preview.Invalid(whatLock, preview.Problem{Path: path.Join(dir, pnpmLockName),
		Message: "there is a package-lock.json as well, and package.json names neither npm nor pnpm as its packageManager",
		Hint:    `remove the lock file that is out of use, or set "packageManager" in package.json`})
}

// readLock reads the lock file that somebody's program left in folder, for the Worker in dir.
func readLock(src fs.FS, manager, folder, dir string) (*lockfile, error) {
	name, limit := path.Join(folder, lockName), int64(maxLockBytes)
	if manager == managerPNPM {
		name, limit = path.Join(folder, pnpmLockName), maxPNPMLockBytes
	}
	data, err := readLimited(src, name, limit)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, preview.Invalid(whatLock, preview.Problem{Path: name, Message: err.Error()})
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	lock, problem := (*lockfile)(nil), (*preview.Problem)(nil)
	if manager == managerPNPM {
		worker := dir
		if folder != "." {
			worker = path.Join(".", strings.TrimPrefix(strings.TrimPrefix(dir, folder), "/"))
		}
		lock, problem = parsePNPM(name, data, worker)
	} else {
		lock, problem = parseLock(name, data)
	}
	if problem != nil {
		return nil, &preview.InvalidError{What: whatLock, Problems: []preview.Problem{*problem}}
	}
	return lock, nil
}

func isFile(src fs.FS, name string) bool {
	info, err := fs.Stat(src, name)
	return err == nil && info.Mode().IsRegular()
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
	lock := &lockfile{path: name, dir: path.Dir(name), manager: managerNPM, from: ".", packages: make(map[string]locked, len(file.Packages))}
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

// shown is how a file of the tree is called in the bundle's comments and in messages: pnpm's own
// folders are left out where npm would have none.
func (l *lockfile) shown(name string) string {
	if l == nil || l.single == nil {
		return name
	}
	const mark = "/node_modules/"
	i := strings.LastIndex("/"+name, mark)
	if i < 0 {
		return name
	}
	alias, rest := cutPackage(name[i+len(mark)-1:])
	if folder, ok := l.single[alias]; ok && path.Join(l.dir, folder, rest) == name {
		return path.Join(l.dir, "node_modules", alias, rest)
	}
	return name
}

// stored undoes shown.
func (l *lockfile) stored(name string) string {
	if l == nil || l.single == nil {
		return name
	}
	below, ok := strings.CutPrefix(name, path.Join(l.dir, "node_modules")+"/")
	if !ok {
		return name
	}
	alias, rest := cutPackage(below)
	if folder, ok := l.single[alias]; ok {
		return path.Join(l.dir, folder, rest)
	}
	return name
}

// check says why an entry can't be fetched from the registry; empty when it can.
func (e locked) check(folder string) string {
	name := e.name(folder)
	scheme, _, hasScheme := strings.Cut(e.Resolved, ":")
	switch {
	case e.refusal != "":
		return e.refusal
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
