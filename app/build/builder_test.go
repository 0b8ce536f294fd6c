package build

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/npm"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// shelf is a registry in memory: tarballs by "name@version".
type shelf struct {
	tb    testing.TB
	mu    sync.Mutex
	files map[string]string
	asked map[string]int
	err   error
}

func newShelf(tb testing.TB) *shelf {
	return &shelf{tb: tb, files: map[string]string{}, asked: map[string]int{}}
}

// put adds a package and returns its entry for a lock file.
func (s *shelf) put(folder, name, version string, files map[string]string) string {
	data := tarballOf(s.tb, files, slices.Sorted(maps.Keys(files)))
	path := filepath.Join(s.tb.TempDir(), "package.tgz")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		s.tb.Fatal(err)
	}
	s.files[name+"@"+version] = path
	sum := sha512.Sum512(data)
	return fmt.Sprintf("%q: {\"name\": %q, \"version\": %q, \"integrity\": \"sha512-%s\"}", folder, name, version, base64.StdEncoding.EncodeToString(sum[:]))
}

func (s *shelf) Fetch(_ context.Context, name, version, _ string, _ func(done, total int64)) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[name]++
	if s.err != nil {
		return "", s.err
	}
	path, ok := s.files[name+"@"+version]
	if !ok {
		return "", fmt.Errorf("%s@%s: %w", name, version, npm.ErrNotFound)
	}
	return path, nil
}

func lockOf(entries ...string) string {
	return `{"lockfileVersion": 3, "packages": {"": {"name": "x"}, ` + strings.Join(entries, ",") + `}}`
}

const plainConfig = `{"main": "src/index.ts", "compatibility_date": "2025-10-01", "compatibility_flags": ["nodejs_compat"]}`

// repo is a repository with a usual configuration and the given files.
func repo(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{"wrangler.jsonc": {Data: []byte(plainConfig)}}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func bundleCode(t *testing.T, s *shelf, files map[string]string) string {
	t.Helper()
	b, err := New(Config{Packages: s}).Bundle(t.Context(), repo(files), workerLayout(), "")
	if err != nil {
		t.Fatal(err)
	}
	return string(b.Modules[0].Content)
}

func problemsOf(t *testing.T, err error) []preview.Problem {
	t.Helper()
	var invalid *preview.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v, want an InvalidError", err)
	}
	return invalid.Problems
}

func TestBundleProblems(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	tests := []struct {
		name  string
		files map[string]string
		want  []preview.Problem
	}{
		{"syntax, in two files", map[string]string{
			"src/index.ts": "import './b'; import './c'", "src/c.ts": "\nexport default {\n  fetch( { return 1 }\n};\n", "src/b.ts": "let x = ;\n",
		}, []preview.Problem{
			{Path: "src/b.ts", Line: 1, Column: 9, Message: `Unexpected ";"`},
			{Path: "src/c.ts", Line: 3, Column: 19, Message: `Expected "}" but found "1"`},
		}},
		{"missing file", map[string]string{"src/index.ts": "import x from './nothing';\nexport default x"}, []preview.Problem{
			{Path: "src/index.ts", Line: 1, Column: 15, Message: `there is no file for "./nothing"`},
		}},
		{"missing package", map[string]string{"src/index.ts": "import 'hono/cors'", "package-lock.json": lockOf(`"node_modules/a": {}`)}, []preview.Problem{
			{Path: "src/index.ts", Line: 1, Column: 8, Message: `the package "hono" is not in the lock file`, Hint: "run npm install hono and commit package-lock.json"},
		}},
		{"no lock file", map[string]string{"src/index.ts": "import 'hono'", "yarn.lock": ""}, []preview.Problem{
			{Path: "src/index.ts", Line: 1, Column: 8, Message: `the package "hono" can't be found: there is no package-lock.json or pnpm-lock.yaml, and yarn.lock is not supported`,
				Hint: "run npm install --package-lock-only and commit package-lock.json"},
		}},
		{"git package", map[string]string{"src/index.ts": "import 'g'", "package-lock.json": lockOf(`"node_modules/g": {"version": "1.0.0", "resolved": "git+ssh://git@github.com/o/g.git"}`)}, []preview.Problem{
			{Path: "package-lock.json", Message: `the package "g" comes from "git+ssh:": only packages of the npm registry can be used (imported in src/index.ts, line 1)`},
		}},
		{"not in the registry", map[string]string{"src/index.ts": "import 'g'", "package-lock.json": lockOf(`"node_modules/g": {"version": "1.0.0", "integrity": "` + someSRI + `"}`)}, []preview.Problem{
			{Path: "package-lock.json", Message: `the npm registry has no package g@1.0.0 (imported in src/index.ts, line 1)`},
		}},
		{"no Node.js", map[string]string{"src/index.ts": "import 'fs'", "wrangler.jsonc": `{"main": "src/index.ts", "compatibility_date": "2025-10-01"}`}, []preview.Problem{
			{Path: "src/index.ts", Line: 1, Column: 8, Message: `"node:fs" is a module of Node.js, which the Worker does not ask for`, Hint: `add "nodejs_compat" to "compatibility_flags" in wrangler.jsonc`},
		}},
		{"no entry point", nil, []preview.Problem{
			{Path: "wrangler.jsonc", Message: `the Worker's entry point "src/index.ts" does not exist`, Hint: `correct "main" in the Wrangler configuration`},
		}},
		{"unknown ending", map[string]string{"src/index.ts": "import './x.css'", "src/x.css": ""}, []preview.Problem{
			{Path: "src/index.ts", Line: 1, Column: 8, Message: `"src/x.css" can't be imported: files that end in ".css" are not known`, Hint: `add a rule to "rules" in wrangler.jsonc`},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(Config{Packages: newShelf(t)}).Bundle(t.Context(), repo(tt.files), workerLayout(), "")
			if diff := cmp.Diff(tt.want, problemsOf(t, err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBundleManyProblems(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	var text strings.Builder
	for i := range 80 {
		fmt.Fprintf(&text, "import './missing%d';\n", i)
	}
	_, err := New(Config{Packages: newShelf(t)}).Bundle(t.Context(), repo(map[string]string{"src/index.ts": text.String()}), workerLayout(), "")
	if n := len(problemsOf(t, err)); n != maxProblems {
		t.Errorf("%d problems, want %d", n, maxProblems)
	}
}

func TestBundlePackages(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	lock := lockOf(
		s.put("node_modules/a", "a", "1.0.0", map[string]string{
			"package.json": `{"name": "a", "exports": {".": {"workerd": "./w.js", "import": "./i.js"}, "./sub": "./sub.cjs"}, "imports": {"#x": "./x.js"}}`,
			"w.js":         "import b from 'b'; import '#x'; import sub from 'a/sub'; export default ['a-workerd', b, sub]", "x.js": "globalThis.imported = 'a-x'",
			"sub.cjs": "const fs = require('fs'); module.exports = ['a-sub', fs, require('./data')]", "data.json": `{"in": "a-data"}`,
		}),
		s.put("node_modules/a/node_modules/b", "b", "2.0.0", map[string]string{
			"package.json": `{"name": "b", "main": "lib", "module": "es/index.js", "browser": {"./es/node.js": "./es/web.js", "fs": false}}`, "es/index.js": "import x from './node'; export default 'b-nested' + x",
			"es/node.js": "export default 'b-node'", "es/web.js": "import fs from 'fs'; export default ['b-web', fs]",
		}),
		s.put("node_modules/b", "b", "1.0.0", map[string]string{"package.json": `{"name": "b"}`, "index.js": "export default 'b-top'"}),
		s.put("node_modules/alias", "real", "1.0.0", map[string]string{"package.json": `{"name": "real", "main": "./m.js", "sideEffects": false}`, "m.js": "export const used = 'real-used'; export const unused = 'real-unused'"}),
		`"node_modules/ws": {"link": true, "resolved": "packages/ws"}`,
		`"node_modules/dev": {"version": "1.0.0", "resolved": "git+ssh://x"}`,
	)
	code := bundleCode(t, s, map[string]string{
		"src/index.ts": "import a from 'a'; import b from 'b'; import {used} from 'alias'; import ws from 'ws'; import {t} from './t.js'; import p from '@/p'; export default [a, b, used, ws, t, p]",
		"src/t.ts":     "import type { Gone } from './gone'; export const t: string = 't-compiled'", "src/deep/p.ts": "export default 'p-mapped'",
		"packages/ws/package.json": `{"name": "ws", "main": "index.ts"}`, "packages/ws/index.ts": "import b from 'b'; export default ['ws-workspace', b]",
		"node_modules/a/index.js": "export default 'committed'",
		"tsconfig.json":           `{"extends": ["./base.json", "@tsconfig/x"], "compilerOptions": {"paths": {"@/*": ["./src/none/*", "./src/deep/*"]}}}`, "base.json": "{}",
		"package-lock.json": lock,
	})
	for _, want := range []string{"a-workerd", "a-x", "a-sub", "a-data", "b-nested", "b-web", "b-top", "real-used", "ws-workspace", "t-compiled", "p-mapped", `from "node:fs"`} {
		if !strings.Contains(code, want) {
			t.Errorf("the bundle lacks %q", want)
		}
	}
	for _, not := range []string{"b-node", "real-unused", "committed", "Dynamic require of"} {
		if strings.Contains(code, not) {
			t.Errorf("the bundle holds %q", not)
		}
	}
	if s.asked["dev"] != 0 {
		t.Error("a package that nothing imports was fetched")
	}
}

func TestBundleAssets(t *testing.T) {
	t.Parallel()
	b, err := New(Config{Packages: newShelf(t)}).Bundle(t.Context(), repo(map[string]string{
		"src/index.ts": "import w from './m.wasm'; import w2 from './m.wasm?module'; import d from './d.bin'; import t from './t.sql'; import j from './j.json' with {type: 'json'}; export default [w, w2, d, t, j]",
		"src/m.wasm":   "\x00asm", "src/d.bin": "data", "src/t.sql": "select 1", "src/j.json": `{"j": "json"}`,
	}), workerLayout(), "")
	if err != nil {
		t.Fatal(err)
	}
	want := []preview.Module{
		{Name: "3a6eb0790f39ac87-d.bin", Type: preview.ModuleData, Content: []byte("data")},
		{Name: "cd5d4935a48c0672-m.wasm", Type: preview.ModuleWasm, Content: []byte("\x00asm")},
	}
	if diff := cmp.Diff(want, b.Modules[1:]); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
	code := string(b.Modules[0].Content)
	for _, want := range []string{`from "./3a6eb0790f39ac87-d.bin"`, `from "./cd5d4935a48c0672-m.wasm"`, "select 1", `"json"`} {
		if !strings.Contains(code, want) {
			t.Errorf("the bundle lacks %q:\n%s", want, code)
		}
	}
}

func TestBundleLimits(t *testing.T) {
	t.Parallel()
	files := map[string]string{"src/index.ts": "export default " + fmt.Sprintf("%q", strings.Repeat("x", 5000))}
	for name, limits := range map[string]Limits{"bundle": {BundleBytes: 1000}, "source": {SourceBytes: 1000}, "input": {InputBytes: 1000}} {
		_, err := New(Config{Packages: newShelf(t), Limits: limits}).Bundle(t.Context(), repo(files), workerLayout(), "")
		if problems := problemsOf(t, err); len(problems) != 1 || !strings.Contains(problems[0].Message, "1000") {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestBundleOutage(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	files := map[string]string{"src/index.ts": "import 'a'", "package-lock.json": lockOf(s.put("node_modules/a", "a", "1.0.0", nil))}
	s.err = fmt.Errorf("registry is away: %w", npm.ErrUnavailable)
	_, err := New(Config{Packages: s}).Bundle(t.Context(), repo(files), workerLayout(), "")
	if preview.Classify(err) != preview.ClassTransient {
		t.Errorf("got %v, want a transient error", err)
	}
}

// TestBundleCancel ends a build whose package never arrives.
func TestBundleCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	files := map[string]string{"src/index.ts": "import 'a'", "package-lock.json": lockOf(`"node_modules/a": {"version": "1.0.0", "integrity": "` + someSRI + `"}`)}
	_, err := New(Config{Packages: stuck{}}).Bundle(ctx, repo(files), workerLayout(), "")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

type stuck struct{}

func (stuck) Fetch(ctx context.Context, _, _, _ string, _ func(done, total int64)) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

// TestStoreShares runs many builds at once on one Builder with a cache that is too small.
func TestStoreShares(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	files := map[string]string{"package-lock.json": ""}
	var entries []string
	var text strings.Builder
	for i := range 5 {
		name := fmt.Sprintf("p%d", i)
		entries = append(entries, s.put("node_modules/"+name, name, "1.0.0", map[string]string{"package.json": "{}", "index.js": fmt.Sprintf("export default %q", strings.Repeat("x", 1000)+name)}))
		fmt.Fprintf(&text, "export { default as %s } from %q;\n", name, name)
	}
	files["package-lock.json"], files["src/index.ts"] = lockOf(entries...), text.String()
	builder := New(Config{Packages: s, Limits: Limits{CacheBytes: 2500}})
	digests := make([]string, 8)
	var group sync.WaitGroup
	for i := range digests {
		group.Go(func() {
			if b, err := builder.Bundle(t.Context(), repo(files), workerLayout(), ""); err != nil {
				t.Error(err)
			} else {
				digests[i] = b.Digest
			}
		})
	}
	group.Wait()
	if unique := slices.Compact(digests); len(unique) != 1 || unique[0] == "" {
		t.Errorf("digests %q", unique)
	}
	if builder.store.size > 2500 || builder.store.order.Len() > 2 {
		t.Errorf("the cache holds %d bytes in %d packages", builder.store.size, builder.store.order.Len())
	}
}
