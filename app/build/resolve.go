package build

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// scriptEndings are tried, in this order, for an import without an ending.
func scriptEndings() []string {
	return []string{".tsx", ".ts", ".jsx", ".js", ".mjs", ".cjs", ".mts", ".cts", ".json"}
}

// resolver finds what an import means, by Node's and TypeScript's rules, in a tree.
type resolver struct {
	tree     *tree
	missing  preview.Problem // what to say about packages when there is no lock file
	config   *wrangler
	tsconfig *tsconfig
	builtins bool // the runtime offers Node's own modules
}

// request is one import as it stands in a file.
type request struct {
	specifier string
	importer  string // file in the tree; empty: the entry point
	require   bool
	optional  bool // a package that is missing may be left to the run time
}

// resolution says what an import is; exactly one field is set.
type resolution struct {
	file     string // in the tree
	external string // a module of the runtime
	disabled bool   // an empty module
}

// errUnresolved is "nothing there": the caller says so in the user's words.
var errUnresolved = errors.New("unresolved")

// resolve finds what an import means. A *problemError is the user's to fix.
func (r *resolver) resolve(q request) (resolution, error) {
	switch {
	case len(q.specifier) > maxSpecifier || strings.ContainsAny(q.specifier, "\\\x00"):
		return resolution{}, problemf("%.80q is no import path", q.specifier)
	case strings.HasPrefix(q.specifier, "cloudflare:") || strings.HasPrefix(q.specifier, "workerd:"):
		return resolution{external: q.specifier}, nil
	case strings.HasPrefix(q.specifier, "node:"):
		return r.builtin(strings.TrimPrefix(q.specifier, "node:"))
	case hasScheme(q.specifier):
		return resolution{}, problemf("%.80q can't be imported: only files of the repository and npm packages can", q.specifier)
	case strings.HasPrefix(q.specifier, "/"):
		return resolution{}, problemf("%.80q can't be imported: it is an absolute path", q.specifier)
	}
	owner, err := r.owner(q.importer)
	if err != nil {
		return resolution{}, err
	}
	found, err := r.find(q, owner)
	if err != nil || found.file == "" {
		return found, err
	}
	return r.mapped(found.file)
}

func hasScheme(specifier string) bool {
	scheme, _, ok := strings.Cut(specifier, ":")
	return ok && scheme != "" && !strings.ContainsAny(scheme, "/.@#")
}

// owner is the manifest whose "imports", "browser" and name hold for a file.
func (r *resolver) owner(importer string) (*manifest, error) {
	if importer == "" {
		return nil, nil //nolint:nilnil // the entry point is imported by nothing
	}
	return r.tree.nearestManifest(importer)
}

// find follows one specifier to a file, without the replacements of its new package.
func (r *resolver) find(q request, owner *manifest) (resolution, error) {
	specifier := q.specifier
	if isRelative(specifier) {
		return r.fileOrProblem(path.Dir(q.importer), specifier, q.importer)
	}
	if !inPackage(q.importer) {
		if target, ok := r.alias(specifier); ok {
			if isRelative(target) {
				return r.fileOrProblem(path.Dir(r.config.path), target, q.importer)
			}
			specifier = target
		}
		for _, candidate := range r.tsconfig.candidates(specifier) {
			if file, err := r.fileOrFolder(candidate, q.importer); err == nil {
				return resolution{file: file}, nil
			} else if !errors.Is(err, errUnresolved) {
				return resolution{}, err
			}
		}
	}
	if owner != nil {
		if entry, ok := owner.browser[specifier]; ok {
			switch {
			case entry.disabled:
				return resolution{disabled: true}, nil
			case isRelative(entry.target):
				return r.fileOrProblem(owner.dir, entry.target, q.importer)
			}
			specifier = entry.target
		}
	}
	if strings.HasPrefix(specifier, "#") {
		if owner == nil {
			return resolution{}, problemf("%q can't be resolved: no package.json stands above the file", specifier)
		}
		target, ok := resolveImports(owner.imports, specifier, conditions(q.require))
		switch {
		case !ok:
			return resolution{}, problemf("%q is not defined in the imports of package.json", specifier)
		case isRelative(target):
			return r.exactly(path.Join(owner.dir, target), specifier)
		}
		specifier = target
	}
	return r.bare(specifier, q, owner)
}

func isRelative(specifier string) bool {
	return specifier == "." || specifier == ".." || strings.HasPrefix(specifier, "./") || strings.HasPrefix(specifier, "../")
}

func inPackage(name string) bool { return strings.Contains("/"+name, "/node_modules/") }

// alias applies Wrangler's "alias", for a whole package or a path below it.
func (r *resolver) alias(specifier string) (string, bool) {
	if target, ok := r.config.alias[specifier]; ok {
		return target, true
	}
	for prefix := path.Dir(specifier); prefix != "." && prefix != "/"; prefix = path.Dir(prefix) {
		if target, ok := r.config.alias[prefix]; ok {
			return target + strings.TrimPrefix(specifier, prefix), true
		}
	}
	return "", false
}

// bare resolves the name of a package, or a path below one.
func (r *resolver) bare(specifier string, q request, owner *manifest) (resolution, error) {
	name, _ := cutPackage(specifier)
	if r.builtins && nodeModule(specifier) {
		return r.builtin(specifier)
	}
	if !packageName.MatchString(name) {
		return resolution{}, problemf("%.80q is no import path", specifier)
	}
	subpath := "." + strings.TrimPrefix(specifier, name)
	if owner != nil && owner.name == name && owner.exports.Exists() {
		return r.exported(owner, specifier, subpath, q)
	}
	for dir := path.Dir(q.importer); ; dir = path.Dir(dir) {
		if path.Base(dir) != "node_modules" {
			folder := path.Join(dir, "node_modules", name)
			m, err := r.tree.manifestAt(folder)
			if err != nil {
				return resolution{}, err
			}
			if m != nil {
				return r.inside(m, specifier, subpath, q)
			}
		}
		if dir == "." {
			break
		}
	}
	if nodeModule(specifier) {
		return r.builtin(specifier)
	}
	if q.optional && inPackage(q.importer) {
		return resolution{external: specifier}, nil
	}
	return resolution{}, r.noPackage(name, q.importer)
}

// inside resolves a path of a package that was found.
func (r *resolver) inside(m *manifest, specifier, subpath string, q request) (resolution, error) {
	if m.exports.Exists() {
		return r.exported(m, specifier, subpath, q)
	}
	file, err := "", error(nil)
	if subpath == "." || subpath == "./" {
		file, err = r.folder(m.dir, q.importer)
	} else {
		file, err = r.fileOrFolder(path.Join(m.dir, subpath), q.importer)
	}
	if errors.Is(err, errUnresolved) {
		return resolution{}, problemf("the package %q has no file for %q", m.name, specifier)
	}
	return resolution{file: file}, err
}

func (r *resolver) exported(m *manifest, specifier, subpath string, q request) (resolution, error) {
	target, ok := resolveExports(m.exports, subpath, conditions(q.require))
	if !ok {
		return resolution{}, problemf("the package %q does not export %q", m.name, specifier)
	}
	return r.exactly(path.Join(m.dir, target), specifier)
}

// exactly takes the target of a map, which names a file as it is.
func (r *resolver) exactly(name, specifier string) (resolution, error) {
	ok, err := r.tree.file(name)
	if err != nil {
		return resolution{}, err
	}
	if !ok {
		return resolution{}, problemf("%q leads to %q, which does not exist", specifier, name)
	}
	return resolution{file: r.tree.real(name)}, nil
}

// fileOrProblem resolves a relative path.
func (r *resolver) fileOrProblem(dir, specifier, importer string) (resolution, error) {
	name := path.Join(dir, specifier)
	if !fs.ValidPath(name) {
		return resolution{}, problemf("%.80q leads out of the repository", specifier)
	}
	if strings.HasSuffix(specifier, "/") || path.Base(specifier) == "." || path.Base(specifier) == ".." {
		file, err := r.folder(name, importer)
		return r.found(file, err, specifier)
	}
	file, err := r.fileOrFolder(name, importer)
	return r.found(file, err, specifier)
}

func (r *resolver) found(file string, err error, specifier string) (resolution, error) {
	if errors.Is(err, errUnresolved) {
		return resolution{}, problemf("there is no file for %q", specifier)
	}
	return resolution{file: file}, err
}

// fileOrFolder tries a path as a file, with each ending, as TypeScript's name of a compiled
// file, and as a folder.
func (r *resolver) fileOrFolder(name, importer string) (string, error) {
	candidates := []string{name}
	for _, ending := range scriptEndings() {
		candidates = append(candidates, name+ending)
	}
	if ext := path.Ext(importer); slices.Contains([]string{".ts", ".tsx", ".mts", ".cts"}, ext) {
		base := strings.TrimSuffix(name, path.Ext(name))
		switch path.Ext(name) {
		case ".js", ".jsx":
			candidates = append(candidates, base+".ts", base+".tsx")
		case ".mjs":
			candidates = append(candidates, base+".mts")
		case ".cjs":
			candidates = append(candidates, base+".cts")
		}
	}
	if file, err := r.first(candidates); !errors.Is(err, errUnresolved) {
		return file, err
	}
	return r.folder(name, importer)
}

// folder is the main file of a folder.
func (r *resolver) folder(dir, importer string) (string, error) {
	m, err := r.tree.manifestAt(dir)
	if err != nil {
		return "", err
	}
	if m != nil {
		for _, entry := range m.entries {
			target := path.Join(dir, entry)
			if !fs.ValidPath(target) || target == dir {
				continue
			}
			candidates := []string{target}
			for _, ending := range scriptEndings() {
				candidates = append(candidates, target+ending, path.Join(target, "index"+ending))
			}
			if file, err := r.first(candidates); !errors.Is(err, errUnresolved) {
				return file, err
			}
		}
	}
	candidates := make([]string, 0, len(scriptEndings()))
	for _, ending := range scriptEndings() {
		candidates = append(candidates, path.Join(dir, "index"+ending))
	}
	return r.first(candidates)
}

func (r *resolver) first(candidates []string) (string, error) {
	for _, candidate := range candidates {
		ok, err := r.tree.file(candidate)
		if err != nil {
			return "", err
		}
		if ok {
			return r.tree.real(candidate), nil
		}
	}
	return "", errUnresolved
}

// mapped applies the "browser" map of the package that a file was found in.
func (r *resolver) mapped(file string) (resolution, error) {
	owner, err := r.owner(file)
	if err != nil || owner == nil || owner.browser == nil {
		return resolution{file: file}, err
	}
	inside := "./" + strings.TrimPrefix(strings.TrimPrefix(file, owner.dir), "/")
	entry, ok := owner.browser[inside]
	if !ok {
		entry, ok = owner.browser[strings.TrimSuffix(inside, path.Ext(inside))]
	}
	switch {
	case !ok:
		return resolution{file: file}, nil
	case entry.disabled:
		return resolution{disabled: true}, nil
	}
	return r.fileOrProblem(owner.dir, "./"+strings.TrimPrefix(entry.target, "./"), file)
}

func (r *resolver) builtin(name string) (resolution, error) {
	if !r.builtins {
		return resolution{}, &problemError{preview.Problem{
			Message: fmt.Sprintf("%q is a module of Node.js, which the Worker does not ask for", "node:"+name),
			Hint:    fmt.Sprintf(`add "nodejs_compat" to "compatibility_flags" in %s`, r.config.path),
		}}
	}
	return resolution{external: "node:" + name}, nil
}

func (r *resolver) noPackage(name, importer string) error {
	lock := r.tree.lock
	if lock == nil {
		return &problemError{preview.Problem{Message: fmt.Sprintf("the package %q can't be found: %s", name, r.missing.Message), Hint: r.missing.Hint}}
	}
	p := preview.Problem{Message: fmt.Sprintf("the package %q is not in the lock file", name), Hint: lock.install(name)}
	if lock.manager == managerPNPM {
		p.Message = fmt.Sprintf("the package %q is not among the dependencies that %s has for the importing package", name, pnpmLockName)
	}
	if inPackage(importer) {
		p.Hint = lock.install("")
	}
	return &problemError{p}
}

func problemf(format string, args ...any) error {
	return &problemError{preview.Problem{Message: fmt.Sprintf(format, args...)}}
}

// nodeModule reports whether a bare specifier names one of Node's own modules.
func nodeModule(specifier string) bool {
	name, sub, _ := strings.Cut(specifier, "/")
	switch name {
	case "assert", "dns", "fs", "readline", "stream", "timers", "util", "path", "inspector":
		return sub == "" || slices.Contains([]string{"strict", "promises", "web", "consumers", "types", "posix", "win32"}, sub)
	case "async_hooks", "buffer", "child_process", "cluster", "console", "constants", "crypto", "dgram",
		"diagnostics_channel", "domain", "events", "http", "http2", "https", "module", "net", "os", "perf_hooks",
		"process", "punycode", "querystring", "repl", "string_decoder", "sys", "tls", "trace_events", "tty", "url",
		"v8", "vm", "wasi", "worker_threads", "zlib":
		return sub == ""
	}
	return false
}
