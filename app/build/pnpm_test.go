package build

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// pnpmRepo is the Worker of testdata with pnpm's lock file in place of npm's.
func pnpmRepo(tb testing.TB) fstest.MapFS {
	tb.Helper()
	fsys := fstest.MapFS{}
	for _, dir := range []string{"testdata/worker", "testdata/pnpm"} {
		root := os.DirFS(dir)
		err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || name == lockName {
				return err
			}
			data, err := fs.ReadFile(root, name)
			fsys[name] = &fstest.MapFile{Data: data}
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return fsys
}

// TestBundlePNPM compiles the same Worker with the lock files of npm and of pnpm: to the same bytes.
func TestBundlePNPM(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	builder := New(Config{Packages: realPackages(t, "")})
	want, err := builder.Bundle(t.Context(), os.DirFS("testdata/worker"), workerLayout(), "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := builder.Bundle(t.Context(), pnpmRepo(t), workerLayout(), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want.Modules[0].Content), string(got.Modules[0].Content)); diff != "" {
		t.Errorf("bundle (-npm +pnpm):\n%.2000s", diff)
	}
	if want.Digest != got.Digest {
		t.Errorf("digest %s of npm, %s of pnpm", want.Digest, got.Digest)
	}
}

// sri is the integrity in an entry that shelf.put returned.
func sri(entry string) string {
	return regexp.MustCompile(`"integrity": "([^"]+)"`).FindStringSubmatch(entry)[1]
}

// pnpmWorkspace is a monorepo: apps/web needs the library "shared" beside it, "a", and "c" by
// another name; a@1.0.0 stands in it twice, with two peers.
func pnpmWorkspace(s *shelf, version string) map[string]string {
	a := sri(s.put("", "a", "1.0.0", map[string]string{"package.json": `{"name": "a", "main": "index.js"}`, "index.js": "import {p} from '@s/p'; export const a = 'a with ' + p"}))
	p1 := sri(s.put("", "@s/p", "1.0.0", map[string]string{"package.json": `{"name": "@s/p"}`, "index.js": "export const p = 'p1'"}))
	p2 := sri(s.put("", "@s/p", "2.0.0", map[string]string{"package.json": `{"name": "@s/p"}`, "index.js": "export const p = 'p2'"}))
	c := sri(s.put("", "c", "3.0.0", map[string]string{"package.json": `{"name": "c"}`, "index.js": "export const c = 'c3'"}))
	slash, snapshots := "/", ""
	one, two := "    dependencies:\n      '@s/p': 1.0.0\n", "    dependencies:\n      '@s/p': 2.0.0\n"
	packages := fmt.Sprintf("  /a@1.0.0(@s/p@1.0.0):\n    resolution: {integrity: %s}\n%s  /a@1.0.0(@s/p@2.0.0):\n    resolution: {integrity: %s}\n%s", a, one, a, two)
	if version == "9.0" {
		slash = ""
		packages = fmt.Sprintf("  a@1.0.0:\n    resolution: {integrity: %s}\n", a)
		snapshots = "snapshots:\n  a@1.0.0(@s/p@1.0.0):\n" + one + "  a@1.0.0(@s/p@2.0.0):\n" + two +
			"  '@s/p@1.0.0': {}\n  '@s/p@2.0.0': {}\n  c@3.0.0: {}\n"
	}
	lock := "lockfileVersion: '" + version + `'
settings:
  autoInstallPeers: true
importers:
  .: {}
  apps/web:
    dependencies:
      a: {specifier: ^1.0.0, version: 1.0.0(@s/p@1.0.0)}
      c-alias: {specifier: npm:c@3.0.0, version: ` + slash + `c@3.0.0}
      shared: {specifier: 'workspace:*', version: link:../../packages/shared}
  packages/shared:
    devDependencies:
      a: {specifier: ^1.0.0, version: 1.0.0(@s/p@2.0.0)}
packages:
` + packages + fmt.Sprintf("  '%s@s/p@1.0.0':\n    resolution: {integrity: %s}\n  '%s@s/p@2.0.0':\n    resolution: {integrity: %s}\n  %sc@3.0.0:\n    resolution: {integrity: %s}\n",
		slash, p1, slash, p2, slash, c) + snapshots
	return map[string]string{
		"pnpm-lock.yaml": lock, "apps/web/wrangler.jsonc": `{"main": "index.ts", "compatibility_date": "2025-10-01"}`,
		"apps/web/index.ts":            "import {a} from 'a'; import {c} from 'c-alias'; import {s} from 'shared'; export default [a, c, s]",
		"packages/shared/package.json": `{"name": "shared", "main": "src/index.ts"}`,
		"packages/shared/src/index.ts": "import {a} from 'a'; export const s = 'shared ' + a",
	}
}

func TestBundlePNPMWorkspace(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	for _, version := range []string{"6.0", "6.1", "9.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			b, err := New(Config{Packages: s}).Bundle(t.Context(), repo(pnpmWorkspace(s, version)), preview.Layout{Workers: []preview.WorkerLayout{{WranglerConfig: "apps/web/wrangler.jsonc"}}}, "")
			if err != nil {
				t.Fatal(err)
			}
			code := string(b.Modules[0].Content)
			for _, part := range []string{`"p1"`, `"p2"`, `"c3"`, `"shared "`} {
				if strings.Count(code, part) != 1 {
					t.Errorf("the bundle holds %s %d times:\n%s", part, strings.Count(code, part), code)
				}
			}
			if strings.Count(code, `"a with "`) != 2 {
				t.Errorf("each peer needs its own copy of a:\n%s", code)
			}
		})
	}
}

func TestBundlePNPMProblems(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	registry := func(key, extra string) string {
		return "  " + key + ":\n    resolution: {integrity: " + someSRI + "}\n" + extra
	}
	lock := func(dependency, rest string) string {
		return "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      g: {specifier: x, version: '" + dependency + "'}\n" + rest
	}
	tests := []struct {
		name, code, lock string
		want             preview.Problem
	}{
		{"git", "import 'g'", lock("https://codeload.github.com/o/g/tar.gz/abc", ""), preview.Problem{
			Message: `the package "g" comes from "https://codeload.github.com/o/g/tar.gz/abc": only packages of the npm registry, and links inside the workspace, can be used (imported in src/index.ts, line 1)`}},
		{"directory", "import 'g'", lock("file:libs/g", ""), preview.Problem{
			Message: `the package "g" comes from "file:libs/g": only packages of the npm registry, and links inside the workspace, can be used (imported in src/index.ts, line 1)`}},
		{"link outside", "import 'g'", lock("link:../g", ""), preview.Problem{
			Message: `the package "g" is linked to a folder outside the repository (imported in src/index.ts, line 1)`}},
		{"absolute link", "import 'g'", lock("link:/etc", ""), preview.Problem{
			Message: `the package "g" is linked to a folder outside the repository (imported in src/index.ts, line 1)`}},
		{"patched, hash", "import 'g'", lock("1.0.0(patch_hash=abc)", "packages:\n"+registry("g@1.0.0", "")+"snapshots:\n  g@1.0.0(patch_hash=abc): {}\n"), preview.Problem{
			Message: `the package "g@1.0.0" is patched by patchedDependencies, and patches are not applied in a preview (imported in src/index.ts, line 1)`}},
		{"patched, named", "import 'g'", lock("1.0.0", "patchedDependencies:\n  g@1.0.0: {hash: abc, path: patches/g.patch}\npackages:\n"+registry("g@1.0.0", "")+"snapshots:\n  g@1.0.0: {}\n"), preview.Problem{
			Message: `the package "g@1.0.0" is patched by patchedDependencies, and patches are not applied in a preview (imported in src/index.ts, line 1)`}},
		{"no integrity", "import 'g'", lock("1.0.0", "packages:\n  g@1.0.0:\n    resolution: {tarball: https://registry.example/g.tgz}\nsnapshots:\n  g@1.0.0: {}\n"), preview.Problem{
			Message: `the package "g" has no integrity in the lock file (imported in src/index.ts, line 1)`}},
		{"incomplete", "import 'g'", lock("1.0.0", ""), preview.Problem{
			Message: `the package "g" is not in the lock file as "g@1.0.0" (imported in src/index.ts, line 1)`}},
		{"not declared", "import 'h'", lock("1.0.0", "packages:\n"+registry("h@1.0.0", "")+"snapshots:\n  h@1.0.0: {}\n"), preview.Problem{
			Path: "src/index.ts", Line: 1, Column: 8, Message: `the package "h" is not among the dependencies that pnpm-lock.yaml has for the importing package`, Hint: "run pnpm add h and commit pnpm-lock.yaml"}},
		{"old version", "", "lockfileVersion: 5.4\n", preview.Problem{Message: `lockfileVersion "5.4" is not supported, only 6.x and 9.0 are`,
			Hint: "run pnpm install with pnpm 9 or 10 and commit pnpm-lock.yaml"}},
		{"alias", "", "lockfileVersion: '9.0'\na: &a {}\nb: *a\n", preview.Problem{Line: 2, Column: 4, Message: "anchors and aliases are not supported", Hint: pnpmHint}},
		{"tag", "", "lockfileVersion: !!str 9.0\n", preview.Problem{Line: 1, Column: 18, Message: "tags are not supported", Hint: pnpmHint}},
		{"doubled key", "", "lockfileVersion: '9.0'\nsnapshots:\n  a: {}\n  a: {}\n", preview.Problem{Line: 4, Column: 3, Message: "a key appears twice, or is no plain text", Hint: pnpmHint}},
		{"deep", "", "a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), preview.Problem{Line: 1, Column: 20, Message: "the file is nested deeper than 16 levels", Hint: pnpmHint}},
		{"two documents", "", "a: 1\n---\nb: 1\n", preview.Problem{Message: "the file holds more than one document", Hint: pnpmHint}},
		{"empty", "", "", preview.Problem{Message: "the file is empty", Hint: pnpmHint}},
		{"large", "", strings.Repeat("#", maxPNPMLockBytes+1), preview.Problem{Message: "the file is too large: more than 4194304 bytes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src := repo(map[string]string{"src/index.ts": tt.code, "pnpm-lock.yaml": tt.lock})
			_, err := New(Config{Packages: newShelf(t)}).Bundle(t.Context(), src, workerLayout(), "")
			if tt.want.Path == "" {
				tt.want.Path = "pnpm-lock.yaml"
			}
			if diff := cmp.Diff([]preview.Problem{tt.want}, problemsOf(t, err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// A package that another one depends on, and the repository does not declare, can't be imported
// by the repository; the other one finds it.
func TestPNPMIsStrict(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newShelf(t)
	a := sri(s.put("", "a", "1.0.0", map[string]string{"package.json": `{"name": "a"}`, "index.js": "export * from 'b'"}))
	b := sri(s.put("", "b", "1.0.0", map[string]string{"package.json": `{"name": "b"}`, "index.js": "export const b = 'found b'"}))
	lock := "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a: {specifier: '*', version: 1.0.0}\npackages:\n" +
		"  a@1.0.0: {resolution: {integrity: " + a + "}}\n  b@1.0.0: {resolution: {integrity: " + b + "}}\nsnapshots:\n  a@1.0.0: {dependencies: {b: 1.0.0}}\n  b@1.0.0: {}\n"
	code := bundleCode(t, s, map[string]string{"pnpm-lock.yaml": lock, "src/index.ts": "import {b} from 'a'; export default b"})
	if !strings.Contains(code, "found b") {
		t.Errorf("b is missing:\n%s", code)
	}
	_, err := New(Config{Packages: s}).Bundle(t.Context(), repo(map[string]string{"pnpm-lock.yaml": lock, "src/index.ts": "import {b} from 'b'; export default b"}), workerLayout(), "")
	if got := problemsOf(t, err); !strings.Contains(got[0].Message, `the package "b" is not among the dependencies`) {
		t.Errorf("got %v", got)
	}
}

// What overrides ask for stands in the lock file already. One that leads out of the registry is
// refused where it is reached.
func TestPNPMOverrides(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newShelf(t)
	a := sri(s.put("", "a", "1.0.0", map[string]string{"package.json": `{"name": "a"}`, "index.js": "export * from 'b'"}))
	b := sri(s.put("", "b", "2.0.0", map[string]string{"package.json": `{"name": "b"}`, "index.js": "export const b = 'b2'"}))
	lock := func(override string) string {
		return "lockfileVersion: '9.0'\noverrides:\n  b: " + override + "\nimporters:\n  .:\n    dependencies:\n      a: {specifier: '*', version: 1.0.0}\npackages:\n" +
			"  a@1.0.0: {resolution: {integrity: " + a + "}}\n  b@2.0.0: {resolution: {integrity: " + b + "}}\nsnapshots:\n  a@1.0.0: {dependencies: {b: '" + override + "'}}\n  b@2.0.0: {}\n"
	}
	files := map[string]string{"src/index.ts": "import {b} from 'a'; export default b", "pnpm-lock.yaml": lock("2.0.0")}
	if code := bundleCode(t, s, files); !strings.Contains(code, `"b2"`) {
		t.Errorf("b@2.0.0 is missing:\n%s", code)
	}
	files["pnpm-lock.yaml"] = lock("link:../b")
	_, err := New(Config{Packages: s}).Bundle(t.Context(), repo(files), workerLayout(), "")
	if got := problemsOf(t, err); !strings.Contains(got[0].Message, `the package "b" comes from "link:../b"`) {
		t.Errorf("got %v", got)
	}
}

func TestChooseLock(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files []string
		text  string // of package.json
		want  string
	}{
		{"none", nil, "", ""},
		{"npm", []string{lockName}, `{"packageManager": "pnpm@9.0.0"}`, managerNPM},
		{"pnpm", []string{pnpmLockName}, "", managerPNPM},
		{"both, pnpm named", []string{lockName, pnpmLockName}, `{"packageManager": "pnpm@9.15.9+sha512.abc"}`, managerPNPM},
		{"both, npm named", []string{lockName, pnpmLockName}, `{"packageManager": "npm@10.0.0"}`, managerNPM},
		{"both", []string{lockName, pnpmLockName}, `{}`, "problem"},
		{"both, another named", []string{lockName, pnpmLockName}, `{"packageManager": "yarn@4.0.0"}`, "problem"},
		{"both, no package.json", []string{lockName, pnpmLockName}, "", "problem"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fsys := fstest.MapFS{"apps/x/package.json": {Data: []byte(tt.text)}}
			for _, name := range tt.files {
				fsys["apps/x/"+name] = &fstest.MapFile{}
			}
			got, err := chooseLock(fsys, "apps/x")
			var invalid *preview.InvalidError
			if errors.As(err, &invalid) {
				got = "problem"
			}
			if got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func FuzzParsePNPM(f *testing.F) {
	s := newShelf(f)
	for _, version := range []string{"6.0", "9.0"} {
		f.Add(pnpmWorkspace(s, version)["pnpm-lock.yaml"], "apps/web/node_modules/a/index.js")
	}
	f.Add("lockfileVersion: '9.0'\nimporters:\n  ../x:\n    dependencies:\n      ../y: {version: 'link:../../..'}\n", "node_modules/../y")
	f.Fuzz(func(t *testing.T, text, name string) {
		lock, problem := parsePNPM("pnpm-lock.yaml", []byte(text), ".")
		if problem != nil {
			return
		}
		for _, folder := range slices.Sorted(maps.Keys(lock.packages)) {
			entry := lock.packages[folder]
			if !fs.ValidPath(folder) || path.Clean(folder) != folder || !inPackage(folder+"/") {
				t.Errorf("folder %q", folder)
			}
			if !entry.Link && entry.check(folder) == "" && (strings.Contains(entry.Name, "..") || !packageSRI.MatchString(entry.Integrity)) {
				t.Errorf("entry %q %+v", folder, entry)
			}
		}
		at, err := (&tree{src: fstest.MapFS{}, lock: lock, limits: Limits{}.withDefaults(), used: map[string]struct{}{}, store: newStore(newShelf(t), Limits{}.withDefaults()), ctx: t.Context()}).locate(name)
		if err == nil && at.pack == nil && fs.ValidPath(name) && !fs.ValidPath(at.name) {
			t.Errorf("%q leads to %q", name, at.name)
		}
	})
}
