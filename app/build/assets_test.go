package build

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// site is a repository with the given "assets", and a Worker when main is set.
func site(assets string, worker bool, files map[string]string) map[string]string {
	main := ""
	if worker {
		main = `"main": "src/index.ts", `
	}
	all := map[string]string{"wrangler.jsonc": `{` + main + `"compatibility_date": "2025-10-01", "assets": ` + assets + `}`,
		"src/index.ts": "export default {}"}
	maps.Copy(all, files)
	return all
}

func assetOf(name, content string) preview.Asset {
	sum := sha256.Sum256([]byte(content))
	return preview.Asset{Path: name, Size: int64(len(content)), Hash: hex.EncodeToString(sum[:])}
}

func TestBundleStaticAssets(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"public/index.html": "home", "public/css/main.css": "a{}", "public/a b.txt": "space", "public/.env": "SECRET=1",
		"public/.git/config": "x", "public/.well-known/security.txt": "mail", "public/draft/x.html": "x", "public/keep.map": "k", "public/drop.map": "d",
		"public/.assetsignore": "# not these\n/draft/\n*.map\n!keep.map\n", "other/x.txt": "x", "package-lock.json": "{", "pnpm-lock.yaml": "{",
	}
	want := &preview.Assets{Directory: "public", HTML: preview.HTMLAuto, NotFound: preview.NotFoundNone, Files: []preview.Asset{
		assetOf("/.well-known/security.txt", "mail"), assetOf("/a b.txt", "space"), assetOf("/css/main.css", "a{}"),
		assetOf("/index.html", "home"), assetOf("/keep.map", "k"),
	}}
	builder := New(Config{Packages: newShelf(t)})
	bundle, err := builder.Bundle(t.Context(), repo(site(`{"directory": "./public/"}`, false, files)), workerLayout(), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, bundle.Assets); diff != "" {
		t.Errorf("assets (-want +got):\n%s", diff)
	}
	if bundle.MainModule != "" || len(bundle.Modules) != 0 {
		t.Errorf("there is a Worker: %q", bundle.MainModule)
	}
	files["public/css/main.css"] = "b{}"
	changed, err := builder.Bundle(t.Context(), repo(site(`{"directory": "public"}`, false, files)), workerLayout(), "")
	if err != nil || changed.Digest == bundle.Digest {
		t.Errorf("digest %s of other content, %v", changed.Digest, err)
	}
}

func TestBundleWorkerWithAssets(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	assets := `{"directory": "../public", "binding": "ASSETS", "html_handling": "drop-trailing-slash",
		"not_found_handling": "single-page-application", "run_worker_first": ["/api/*", "!/api/docs/*"]}`
	files := site(assets, true, map[string]string{"public/index.html": "home"})
	for _, name := range []string{"wrangler.jsonc", "src/index.ts"} {
		files["worker/"+name] = files[name]
	}
	// The process hands over what the Builder finds.
	bundle, err := isolated(t, t.TempDir()).Bundle(t.Context(), unpacked(t, files), preview.Layout{Workers: []preview.WorkerLayout{{WranglerConfig: "worker/wrangler.jsonc"}}}, "")
	if err != nil {
		t.Fatal(err)
	}
	want := &preview.Assets{Directory: "public", Binding: "ASSETS", HTML: preview.HTMLDrop, NotFound: preview.NotFoundApp,
		WorkerFirstRoutes: []string{"/api/*", "!/api/docs/*"}, Files: []preview.Asset{assetOf("/index.html", "home")}}
	if diff := cmp.Diff(want, bundle.Assets); diff != "" {
		t.Errorf("assets (-want +got):\n%s", diff)
	}
	if bundle.MainModule == "" || len(bundle.Modules) != 1 {
		t.Errorf("there is no Worker")
	}
}

func TestStaticAssetsProblems(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	page := map[string]string{"public/index.html": "home"}
	tests := []struct {
		name, assets string
		worker       bool
		files        map[string]string
		limits       Limits
		want         []string
	}{
		{"no folder", `{"directory": "dist"}`, true, page, Limits{}, []string{`wrangler.jsonc: the folder "dist" of the static assets is not in the repository, and no build command is run for a preview`}},
		{"a file", `{"directory": "public/index.html"}`, true, page, Limits{}, []string{`wrangler.jsonc: the folder "public/index.html" of the static assets is not in the repository, and no build command is run for a preview`}},
		{"outside", `{"directory": "../up"}`, true, page, Limits{}, []string{`wrangler.jsonc:1:73: "assets.directory" is "../up", which is no path inside the repository`}},
		{"absolute", `{"directory": "/etc"}`, true, page, Limits{}, []string{`wrangler.jsonc:1:73: "assets.directory" is "/etc", which is no path inside the repository`}},
		{"no directory, odd values", `{"binding": "no name", "html_handling": "x", "not_found_handling": "y", "run_worker_first": ["api"], "jwt": 1}`, true, page, Limits{}, []string{
			`"jwt" in "assets" is not supported`, `"directory" is missing in "assets"`, `"x" is no way to handle HTML files`,
			`"y" is no way to handle paths without a file`, `the binding "no name" is not named like an identifier`, `"api" is no path such as "/api/*"`}},
		{"no Worker", `{"directory": "public", "binding": "ASSETS"}`, false, page, Limits{}, []string{`"binding" and "run_worker_first" have no meaning without "main"`}},
		{"double name", `{"directory": "public", "binding": "DATABASE_URL"}`, true, page, Limits{}, []string{`the name "DATABASE_URL" is given to two things`}},
		{"rules", `{"directory": "public"}`, true, map[string]string{"public/_redirects": "/a /b", "public/_headers": "x", "public/_worker.js": ""}, Limits{}, []string{
			`public/_headers: the rules of a _headers file are not supported in a preview`, `public/_redirects: the rules of a _redirects file are not supported in a preview`,
			`public/_worker.js: a _worker.js of Cloudflare Pages is not supported`}},
		{"ignore file", `{"directory": "public"}`, true, map[string]string{"public/.assetsignore": "[a-z].txt"}, Limits{}, []string{`public/.assetsignore: the pattern "[a-z].txt" is not supported`}},
		{"large file", `{"directory": "public"}`, true, page, Limits{AssetBytes: 3}, []string{`public/index.html: the file is larger than 3 bytes, which no static asset may be`}},
		{"large", `{"directory": "public"}`, true, page, Limits{AssetsBytes: 3}, []string{`public: the static assets are larger than 3 bytes together`}},
		{"many", `{"directory": "public"}`, true, map[string]string{"public/a": "", "public/b": ""}, Limits{Assets: 1}, []string{`public: there are more than 1 static assets`}},
		{"odd name", `{"directory": "public"}`, true, map[string]string{"public/a\nb": ""}, Limits{}, []string{"the name holds a character that can't be in a URL's path"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			builder := New(Config{Packages: newShelf(t), Limits: tt.limits})
			_, err := builder.Bundle(t.Context(), repo(site(tt.assets, tt.worker, tt.files)), workerLayout(), "")
			got := problemsOf(t, err)
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			for i := range got {
				if !strings.Contains(got[i].String(), tt.want[i]) {
					t.Errorf("got %q, want %q", got[i].String(), tt.want[i])
				}
			}
		})
	}
}

func TestIgnoreList(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text      string
		ignored, served []string // a slash at the end: a folder
	}{
		{"anywhere", "*.map\nnode_modules", []string{"a.map", "x/y/b.map", "x/node_modules/", "node_modules"}, []string{"a.mapx", "map"}},
		{"anchored", "/a\nx/y.txt", []string{"a", "x/y.txt"}, []string{"b/a", "z/x/y.txt"}},
		{"folders", "tmp/", []string{"tmp/", "x/tmp/"}, []string{"tmp", "x/tmp"}},
		{"stars", "a/**/z\nlogs/**", []string{"a/z", "a/b/c/z", "logs/x", "logs/x/y"}, []string{"a/zz", "logs"}},
		{"question mark", "v?.txt", []string{"v1.txt"}, []string{"v12.txt", "v/.txt"}},
		{"negation", "*.txt\n!robots.txt", []string{"a.txt"}, []string{"robots.txt", "x/robots.txt"}},
		{"plain text", "a.b\n# c\n\n", []string{"a.b"}, []string{"axb", "# c", "c"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			list, err := parseIgnore(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range slices.Concat(tt.ignored, tt.served) {
				if got := list.match(path.Clean(name), strings.HasSuffix(name, "/")); got != slices.Contains(tt.ignored, name) {
					t.Errorf("%q: ignored %v", name, got)
				}
			}
		})
	}
}

func FuzzParseIgnore(f *testing.F) {
	f.Add("*.map\n!/a/**/b?/\n", "x/a.map")
	f.Fuzz(func(_ *testing.T, text, name string) {
		if list, err := parseIgnore(text); err == nil {
			list.match(name, true)
		}
	})
}
