package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

const canary = "canary-8d1f0c"

// TestBundleSeesOnlyTheRepository tries every way out that plain esbuild has. A file and a
// folder with the canary's name stand outside; nothing of them may be in the result.
func TestBundleSeesOnlyTheRepository(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	outside := t.TempDir()
	for name, text := range map[string]string{
		canary + ".json": `{"secret": "` + canary + `"}`, canary + ".js": `export default "` + canary + `"`,
		"map.js.map": `{"version": 3, "sources": ["` + canary + `"], "mappings": "AAAA"}`, "package.json": `{"name": "` + canary,
		"tsconfig.json": canary,
	} {
		if err := os.WriteFile(filepath.Join(outside, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	up := strings.Repeat("../", 30) + strings.TrimPrefix(filepath.ToSlash(outside), "/")
	tests := map[string]map[string]string{
		"absolute":              {"src/index.ts": "import x from '" + outside + "/" + canary + ".json'; export default x"},
		"parents":               {"src/index.ts": "import x from '" + up + "/" + canary + ".json'; export default x"},
		"file URL":              {"src/index.ts": "import x from 'file://" + outside + "/" + canary + ".json'; export default x"},
		"data URL":              {"src/index.ts": "import x from 'data:text/javascript,export default 1'; export default x"},
		"require":               {"src/index.ts": "export default require('" + outside + "/" + canary + ".json')"},
		"caught require":        {"src/index.ts": "try { module.exports = require('" + outside + "/" + canary + ".json') } catch {}"},
		"dynamic import":        {"src/index.ts": "export default import('" + up + "/" + canary + ".json').catch(() => 1)"},
		"glob template":         {"src/index.ts": "export default (x) => import(`" + up + "/${x}.json`)"},
		"glob sum":              {"src/index.ts": "export default (x) => require('" + up + "/' + x)"},
		"glob behind a comment": {"src/index.ts": "export default (x) => import /* a */ ( /* b */ ('" + up + "/' + x))"},
		"glob by escape":        {"src/index.ts": "export default (x) => \\u0072equire('" + up + "/' + x)"},
		"glob by long escape":   {"src/index.ts": "export default (x) => r\\u{000065}quire('" + up + "/' + x)"},
		"glob by cast":          {"src/index.ts": "export default (x) => (require as any)!('" + up + "/' + x)"},
		"glob by enum":          {"src/index.ts": "const enum E { A = '" + up + "/' }; export default (x) => import(E.A + x)"},
		"glob by condition":     {"src/index.ts": "export default (x) => import(x ? '" + up + "/' + x : `" + up + "/${x}/b`)"},
		"glob by hole":          {"src/index.ts": "export default (x) => import(`${'" + up + "/'}${x}`)"},
		"glob by phase":         {"src/index.ts": "export default (x) => import.source('" + up + "/' + x)"},
		"glob after a string":   {"src/index.ts": "const s = 'import /*'; export default (x) => import('" + up + "/' + x)"},
		"glob by define":        {"src/index.ts": "export default (x) => import(UP + x)", "wrangler.jsonc": `{"main": "src/index.ts", "compatibility_date": "2025-10-01", "define": {"UP": "\"` + up + `/\""}}`},
		"define as require":     {"src/index.ts": "export default (x) => load('" + up + "/' + x)", "wrangler.jsonc": `{"main": "src/index.ts", "compatibility_date": "2025-10-01", "define": {"load": "require"}}`},
		"main":                  {"wrangler.jsonc": `{"main": "` + up + `/` + canary + `.js", "compatibility_date": "2025-10-01"}`},
		"alias":                 {"src/index.ts": "import x from 'a'; export default x", "wrangler.jsonc": `{"main": "src/index.ts", "compatibility_date": "2025-10-01", "alias": {"a": "` + outside + `/` + canary + `.js"}}`},
		"relative alias":        {"src/index.ts": "import x from 'a'; export default x", "wrangler.jsonc": `{"main": "src/index.ts", "compatibility_date": "2025-10-01", "alias": {"a": "` + up + `/` + canary + `.js"}}`},
		"tsconfig extends":      {"src/index.ts": "export default 1", "tsconfig.json": `{"extends": "` + up + `/tsconfig.json"}`},
		"tsconfig paths":        {"src/index.ts": "import x from '@/" + canary + ".js'; export default x", "tsconfig.json": `{"compilerOptions": {"paths": {"@/*": ["` + up + `/*"]}}}`},
		"tsconfig base":         {"src/index.ts": "import x from '" + canary + "'; export default x", "tsconfig.json": `{"compilerOptions": {"baseUrl": "` + up + `"}}`},
		"workspace link":        {"src/index.ts": "import x from 'a'; export default x", "package-lock.json": lockOf(`"node_modules/a": {"link": true, "resolved": "` + up + `"}`)},
		"package main":          {"src/index.ts": "import x from './p'; export default x", "src/p/package.json": `{"main": "` + up + `/` + canary + `.js"}`},
		"package imports":       {"src/index.ts": "import x from '#a'; export default x", "package.json": `{"imports": {"#a": "` + up + `/` + canary + `.js"}}`},
		"asset":                 {"src/index.ts": "import x from '" + up + "/" + canary + ".wasm'; export default x"},
		"style":                 {"src/index.ts": "import './x.css'", "src/x.css": "@import '" + outside + "/x.css'"},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, ok := files["src/index.ts"]; !ok {
				files["src/index.ts"] = "export default 1"
			}
			_, err := New(Config{Packages: newShelf(t)}).Bundle(t.Context(), repo(files), workerLayout(), "")
			var invalid *preview.InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("got %v, want an InvalidError", err)
			}
			for _, p := range invalid.Problems {
				if strings.Contains(p.Message, `"secret"`) || strings.Contains(p.Message, "package.json") && strings.Contains(p.Message, canary) {
					t.Errorf("the message shows content: %v", p)
				}
			}
		})
	}
	// These compile, because what they name is no more than text.
	for name, text := range map[string]string{
		"source map":          "export default 1\n//# sourceMappingURL=file://" + outside + "/map.js.map",
		"relative source map": "export default 1\n//# sourceMappingURL=" + up + "/map.js.map",
		"source map in text":  "export default 1\n//# sourceMappingURL=data:application/json,{\"version\":3,\"mappings\":\"AAAA\",\"sources\":[\"file://" + outside + "/" + canary + ".json\"]}",
		"reference":           "/// <reference path=\"" + outside + "/" + canary + ".js\" />\nexport default 1",
		"import by variable":  "export default (x) => import(x)",
		"url of a module":     "export default new URL('" + up + "/x.json', import.meta.url)",
		"fetch":               "export default () => fetch('file://" + outside + "/x.json')",
		"require.resolve":     "export default require.resolve('" + outside + "/x.json')",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code := bundleCode(t, newShelf(t), map[string]string{"src/index.ts": text})
			if strings.Contains(code, canary) {
				t.Errorf("the bundle shows the outside:\n%s", code)
			}
		})
	}
}

// TestPackageSeesOnlyTheTree is the same for what a package says.
func TestPackageSeesOnlyTheTree(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	up := strings.Repeat("../", 30) + "etc/"
	for name, files := range map[string]map[string]string{
		"exports": {"package.json": `{"name": "a", "exports": "./../../../../../../../etc/passwd"}`},
		"main":    {"package.json": `{"name": "a", "main": "` + up + `passwd"}`},
		"module":  {"package.json": `{"name": "a", "module": "/etc/passwd"}`},
		"browser": {"package.json": `{"name": "a", "browser": {"./index.js": "` + up + `passwd"}}`, "index.js": ""},
		"import":  {"package.json": `{"name": "a"}`, "index.js": "import '" + up + "passwd'"},
		"glob":    {"package.json": `{"name": "a"}`, "index.js": "export default x => require('" + up + "' + x)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			lock := lockOf(s.put("node_modules/a", "a", "1.0.0", files))
			for range 2 { // also with the package in memory
				_, err := New(Config{Packages: s}).Bundle(t.Context(), repo(map[string]string{"src/index.ts": "import 'a'", "package-lock.json": lock}), workerLayout(), "")
				problemsOf(t, err)
			}
		})
	}
}

// TestBundleSymlink puts a link into a folder that os.DirFS would follow.
func TestBundleSymlink(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	outside := filepath.Join(t.TempDir(), "secret.json")
	if err := os.WriteFile(outside, []byte(`{"k": "`+canary+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"wrangler.jsonc": plainConfig, "index.ts": "import x from './link.json'; export default x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "src/", "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link.json")); err != nil {
		t.Skip(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = New(Config{Packages: newShelf(t)}).Bundle(t.Context(), root.FS(), workerLayout(), "")
	if problems := problemsOf(t, err); strings.Contains(problems[0].Message, canary) {
		t.Error(problems)
	}
}

func TestMayCompute(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	for text, want := range map[string]bool{
		"import x from './x'; import('./y'); import.meta.url": false,
		"import ( /* c */ \"./y\" /* d */ )":                  false,
		"import('./y', {with: {type: 'json'}})":               false,
		"const x = require('./x'), y = required(z)":           false,
		"import(x)":         true,
		"import('./' + x)":  true,
		"import.defer(x)":   true,
		"import\n//\n(`a`)": true,
		"require(x)":        true,
		"(0, require)(x)":   true,
		`import('\x2e/')`:   true,
	} {
		if got := mayCompute(text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

// FuzzComputedImport holds that what the check lets pass makes esbuild follow no path itself.
func FuzzComputedImport(f *testing.F) {
	for _, seed := range []string{"import(`./a/${x}`)", "require('./a/' + x)", "import(x ? './' + a : b)", "(require as any)('./' + x)", "enum E {A='./'}; import(E.A+x)", "import('./a')"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 {
			t.Skip()
		}
		if mayCompute(text) {
			computed, problems := computedImport(text, api.LoaderTS, api.TransformOptions{TsconfigRaw: "{}", Target: api.ES2024, Platform: api.PlatformNeutral})
			if computed || len(problems) > 0 {
				t.Skip()
			}
		}
		// The glob of esbuild names its modules "import("./a/**/*")" and warns when it finds none.
		result := api.Build(api.BuildOptions{
			Stdin:  &api.StdinOptions{Contents: text, Loader: api.LoaderTS},
			Bundle: true, Format: api.FormatESModule, Platform: api.PlatformNeutral, TsconfigRaw: "{}", AbsWorkingDir: t.TempDir(), LogLevel: api.LogLevelSilent,
			Plugins: []api.Plugin{{Name: "none", Setup: func(b api.PluginBuild) {
				b.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
					return api.OnResolveResult{Path: args.Path, External: true}, nil
				})
				b.OnLoad(api.OnLoadOptions{Filter: ".*"}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
					t.Errorf("esbuild found %s by itself in %q", args.Path, text)
					return api.OnLoadResult{}, errors.New("found")
				})
			}}},
		})
		for _, m := range append(result.Errors, result.Warnings...) {
			if strings.Contains(m.Text, "glob pattern") || strings.HasPrefix(m.Text, "Could not resolve import") || strings.HasPrefix(m.Text, "Could not resolve require") {
				t.Errorf("esbuild followed a pattern in %q: %s", text, m.Text)
			}
		}
	})
}
