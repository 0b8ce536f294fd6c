package build

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	pnpmLockName = "pnpm-lock.yaml"
	// A file of that size, all brackets, takes several hundred megabytes as nodes.
	maxPNPMLockBytes = 4 << 20
	pnpmHint         = "run pnpm install and commit pnpm-lock.yaml"
)

// pnpmReader turns a pnpm-lock.yaml into the folders that pnpm makes: each package stands once,
// under node_modules/.pnpm, beside links to what it depends on itself. Nothing is hoisted, so a
// package finds its own dependencies, and then those of the root, as in Node.
type pnpmReader struct {
	lock *lockfile
	// facts are by "name@version", snapshots by the same with the peers: "a@1.0.0(b@2.0.0)".
	facts, snapshots map[string]*yaml.Node
	patched          map[string]bool // "name" or "name@version"
}

// parsePNPM reads the text of a lock file; worker is the folder of the Worker, relative to it.
func parsePNPM(name string, data []byte, worker string) (*lockfile, *preview.Problem) {
	root, problem := parseYAML(name, data)
	if problem != nil {
		problem.Hint = pnpmHint
		return nil, problem
	}
	version := textUnder(root, "lockfileVersion")
	if version != "9.0" && !strings.HasPrefix(version, "6.") {
		return nil, &preview.Problem{Path: name, Message: fmt.Sprintf("lockfileVersion %.20q is not supported, only 6.x and 9.0 are", version),
			Hint: "run pnpm install with pnpm 9 or 10 and commit pnpm-lock.yaml"}
	}
	r := &pnpmReader{
		lock:  &lockfile{path: name, dir: path.Dir(name), manager: managerPNPM, packages: map[string]locked{}, from: worker, single: map[string]string{}},
		facts: map[string]*yaml.Node{}, snapshots: map[string]*yaml.Node{}, patched: map[string]bool{},
	}
	// Version 6 has a slash before each key, and both kinds of fact in one place.
	entries(under(root, "packages"), func(key string, n *yaml.Node) { r.facts[strings.TrimPrefix(key, "/")] = n })
	r.snapshots = r.facts
	if version == "9.0" {
		r.snapshots = map[string]*yaml.Node{}
		entries(under(root, "snapshots"), func(key string, n *yaml.Node) { r.snapshots[key] = n })
	}
	entries(under(root, "patchedDependencies"), func(key string, _ *yaml.Node) { r.patched[key] = true })
	copies := map[string]int{}
	for _, key := range slices.Sorted(maps.Keys(r.snapshots)) {
		if name, _, ok := splitPNPM(key); ok {
			r.snapshot(key, name, r.snapshots[key])
			copies[name]++
			r.lock.single[name] = pnpmPlace(key, name)
		}
	}
	maps.DeleteFunc(r.lock.single, func(name, _ string) bool { return copies[name] > 1 })
	importers := under(root, "importers")
	if importers == nil { // version 6 without a workspace
		r.importer(".", root, worker)
	}
	entries(importers, func(folder string, n *yaml.Node) { r.importer(folder, n, worker) })
	return r.lock, nil
}

// snapshot adds one package with the links beside it. Of those that are not of the registry,
// whoever depends on them gets the refusal.
func (r *pnpmReader) snapshot(key, name string, n *yaml.Node) {
	beside := path.Dir(pnpmPlace(key, name))
	if strings.HasPrefix(name, "@") {
		beside = path.Dir(beside)
	}
	dependencies := map[string]string{}
	for _, field := range []string{"dependencies", "optionalDependencies"} {
		entries(under(n, field), func(alias string, ref *yaml.Node) {
			if alias == name || !packageName.MatchString(alias) {
				return
			}
			dependencies[alias] = ""
			r.lock.packages[path.Join(beside, alias)] = r.target(alias, ref.Value)
		})
	}
	own := r.entry(key)
	own.Dependencies = dependencies
	r.lock.packages[pnpmPlace(key, name)] = own
}

// entry is a package of the registry, by the key of its snapshot.
func (r *pnpmReader) entry(key string) locked {
	name, version, _ := splitPNPM(key)
	facts := r.facts[key]
	if facts == nil {
		facts = r.facts[name+"@"+version]
	}
	e := locked{Name: name, Version: version, Integrity: textUnder(under(facts, "resolution"), "integrity")}
	if r.patched[name] || r.patched[name+"@"+version] || strings.Contains(key, "(patch_hash=") || textUnder(facts, "patched") == "true" {
		e.refusal = fmt.Sprintf("the package %q is patched by patchedDependencies, and patches are not applied in a preview", name+"@"+version)
	}
	return e
}

// importer adds the links of one project of the workspace.
func (r *pnpmReader) importer(folder string, n *yaml.Node, worker string) {
	if !fs.ValidPath(folder) {
		return
	}
	for _, field := range []string{"devDependencies", "optionalDependencies", "dependencies"} {
		entries(under(n, field), func(alias string, value *yaml.Node) {
			if !packageName.MatchString(alias) {
				return
			}
			ref := textUnder(value, "version")
			entry := r.target(alias, ref)
			if link, ok := strings.CutPrefix(ref, "link:"); ok {
				entry = locked{Name: alias, Link: true, Resolved: link}
				if !strings.HasPrefix(link, "/") {
					entry.Resolved = path.Join(folder, link)
				}
			}
			r.lock.packages[path.Join(folder, "node_modules", alias)] = entry
			if folder == worker && field == "dependencies" {
				r.lock.wanted = append(r.lock.wanted, alias)
			}
		})
	}
}

// target is what a reference such as "4.10.4", "1.0.0(b@2.0.0)" or "other@4.10.4" leads to.
func (r *pnpmReader) target(alias, ref string) locked {
	key := strings.TrimPrefix(ref, "/")
	if at := strings.IndexByte(key, '@'); at < 0 || strings.IndexByte(key[:at], '(') >= 0 {
		key = alias + "@" + key
	}
	name, _, ok := splitPNPM(key)
	if !ok {
		return locked{Name: alias, refusal: fmt.Sprintf("the package %q comes from %.120q: only packages of the npm registry, and links inside the workspace, can be used", alias, ref)}
	}
	if _, ok := r.snapshots[key]; !ok {
		return locked{Name: alias, refusal: fmt.Sprintf("the package %q is not in the lock file as %.120q", alias, key)}
	}
	return locked{Name: name, Link: true, Resolved: pnpmPlace(key, name)}
}

// splitPNPM takes the key of a package of the registry apart; the peers are left out.
func splitPNPM(key string) (name, version string, ok bool) {
	plain, _, _ := strings.Cut(key, "(")
	at := strings.LastIndexByte(plain, '@')
	if at <= 0 || len(key) > 4096 || strings.ContainsAny(key, "\\:\x00") {
		return "", "", false
	}
	name, version = plain[:at], plain[at+1:]
	return name, version, packageName.MatchString(name) && packageVersion.MatchString(version)
}

// pnpmPlace is the folder of a package. A key holds no plus sign where it may hold a slash.
func pnpmPlace(key, name string) string {
	return "node_modules/.pnpm/" + strings.ReplaceAll(key, "/", "+") + "/node_modules/" + name
}
