package workerd

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

// assetsOf is a folder "public" with the given files, whose content is their path unless given.
func assetsOf(files map[string]string) (*preview.Assets, fstest.MapFS) {
	assets := &preview.Assets{Directory: "public", HTML: preview.HTMLAuto, NotFound: preview.NotFoundNone}
	source := fstest.MapFS{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := files[name]
		if content == "" {
			content = name
		}
		sum := sha256.Sum256([]byte(content))
		assets.Files = append(assets.Files, preview.Asset{Path: name, Size: int64(len(content)), Hash: hex.EncodeToString(sum[:])})
		source["public"+name] = &fstest.MapFile{Data: []byte(content)}
	}
	return assets, source
}

// siteOf serves files without a runtime.
func siteOf(t *testing.T, bundle *preview.Bundle, source fstest.MapFS) *site {
	t.Helper()
	dir := t.TempDir()
	for _, file := range bundle.Assets.Files {
		if err := os.WriteFile(filepath.Join(dir, file.Hash), source["public"+file.Path].Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return newSite(bundle, func(hash string) (*os.File, error) { return os.Open(filepath.Join(dir, hash)) })
}

func names(list ...string) map[string]string {
	files := map[string]string{}
	for _, name := range list {
		files[name] = ""
	}
	return files
}

// ask sends a path to a handler exactly as it is spelled.
func ask(t *testing.T, h http.Handler, method, target string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://x.localhost"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

// TestSiteHTML has, for each request, the file that is served or "> " and the path that it is
// redirected to, as Cloudflare's documentation and its asset worker have them.
func TestSiteHTML(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		handling preview.HTMLHandling
		files    map[string]string
		want     map[string]string
	}{
		{"auto", preview.HTMLAuto, names("/index.html", "/file.html", "/folder/index.html"), map[string]string{
			"/": "/index.html", "/index": "> /", "/index.html": "> /",
			"/file": "/file.html", "/file.html": "> /file", "/file/": "> /file", "/file/index": "> /file", "/file/index.html": "> /file",
			"/folder/": "/folder/index.html", "/folder": "> /folder/", "/folder.html": "> /folder/", "/folder/index": "> /folder/", "/folder/index.html": "> /folder/",
			"/none": "", "/file.html/": "", "/folder/x": "",
		}},
		{"force", preview.HTMLForce, names("/index.html", "/file.html", "/folder/index.html"), map[string]string{
			"/": "/index.html", "/index.html": "> /",
			"/file/": "/file.html", "/file": "> /file/", "/file.html": "> /file/", "/file/index": "> /file/", "/file/index.html": "> /file/",
			"/folder/": "/folder/index.html", "/folder": "> /folder/", "/folder.html": "> /folder/", "/folder/index.html": "> /folder/",
		}},
		{"drop", preview.HTMLDrop, names("/index.html", "/file.html", "/folder/index.html"), map[string]string{
			"/": "/index.html", "/index": "> /", "/index.html": "> /",
			"/file": "/file.html", "/file.html": "> /file", "/file/": "> /file", "/file/index.html": "> /file",
			"/folder": "/folder/index.html", "/folder/": "> /folder", "/folder.html": "> /folder", "/folder/index": "> /folder", "/folder/index.html": "> /folder",
		}},
		{"none", preview.HTMLNone, names("/index.html", "/file.html", "/folder/index.html"), map[string]string{
			"/": "", "/index.html": "/index.html", "/file.html": "/file.html", "/file": "", "/folder/": "", "/folder/index.html": "/folder/index.html",
		}},
		{"auto, both", preview.HTMLAuto, names("/foo.html", "/foo/index.html"), map[string]string{
			"/foo": "/foo.html", "/foo.html": "> /foo", "/foo/": "/foo/index.html", "/foo/index": "> /foo/", "/foo/index.html": "> /foo/",
		}},
		{"force, both", preview.HTMLForce, names("/foo.html", "/foo/index.html"), map[string]string{
			"/foo": "> /foo/", "/foo.html": "/foo.html", "/foo/": "/foo/index.html", "/foo/index": "> /foo/", "/foo/index.html": "> /foo/",
		}},
		{"drop, both", preview.HTMLDrop, names("/foo.html", "/foo/index.html"), map[string]string{
			"/foo": "/foo.html", "/foo.html": "> /foo", "/foo/": "> /foo", "/foo/index": "> /foo", "/foo/index.html": "/foo/index.html",
		}},
		{"auto, a file of that name", preview.HTMLAuto, names("/foo", "/foo.html", "/index"), map[string]string{
			"/foo": "/foo", "/foo.html": "/foo.html", "/foo/": "", "/index": "/index",
		}},
		{"force, a file of that name", preview.HTMLForce, names("/foo", "/foo.html"), map[string]string{
			"/foo": "/foo", "/foo.html": "> /foo/", "/foo/": "/foo.html",
		}},
		{"a folder named index", preview.HTMLAuto, names("/foo/index.html", "/foo/index/index.html"), map[string]string{
			"/foo/index": "> /foo/", "/foo/index/": "/foo/index/index.html",
		}},
		{"spelling", preview.HTMLAuto, names("/a b/[c].txt", "/é.html", "/%5B.txt"), map[string]string{
			"/a%20b/%5Bc%5D.txt": "/a b/[c].txt", "/a%20b/[c].txt": "> /a%20b/%5Bc%5D.txt", "//a%20b//%5bc%5D.txt": "> /a%20b/%5Bc%5D.txt",
			"/%C3%A9": "/é.html", "/%C3%A9.html": "> /%C3%A9", "/%5B.txt": "", "/%255B.txt": "/%5B.txt", "/a%20b%2F%5Bc%5D.txt": "> /a%20b/%5Bc%5D.txt",
		}},
		{"no escape", preview.HTMLAuto, names("/index.html"), map[string]string{
			"/../index.html": "", "/%2e%2e/index.html": "", "/..%2f..%2fetc%2fpasswd": "", "//evil.example/index.html": "", "/%00": "", "/./": "",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assets, source := assetsOf(tt.files)
			assets.HTML = tt.handling
			s := siteOf(t, &preview.Bundle{Assets: assets}, source)
			got := map[string]string{}
			for target := range tt.want {
				rec := ask(t, s, http.MethodGet, target, nil)
				switch rec.Code {
				case http.StatusOK:
					got[target] = rec.Body.String()
				case http.StatusTemporaryRedirect:
					got[target] = "> " + rec.Header().Get("Location")
				case http.StatusNotFound:
					got[target] = ""
				default:
					got[target] = fmt.Sprint(rec.Code)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSiteNotFound(t *testing.T) {
	t.Parallel()
	files := names("/index.html", "/404.html", "/docs/404.html")
	tests := []struct {
		name     string
		handling preview.NotFoundHandling
		target   string
		status   int
		body     string
	}{
		{"none", preview.NotFoundNone, "/x", 404, ""},
		{"page", preview.NotFoundPage, "/x/y", 404, "/404.html"},
		{"nearest page", preview.NotFoundPage, "/docs/x/y", 404, "/docs/404.html"},
		{"app", preview.NotFoundApp, "/x/y", 200, "/index.html"},
		{"app, no redirect to elsewhere", preview.NotFoundApp, "//evil.example/%61", 200, "/index.html"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assets, source := assetsOf(files)
			assets.NotFound = tt.handling
			s := siteOf(t, &preview.Bundle{Assets: assets}, source)
			rec := ask(t, s, http.MethodGet, tt.target, nil)
			if rec.Code != tt.status || rec.Body.String() != tt.body || rec.Header().Get("Location") != "" {
				t.Errorf("%d %q, want %d %q", rec.Code, rec.Body, tt.status, tt.body)
			}
		})
	}
}

func TestSiteAnswersHTTP(t *testing.T) {
	t.Parallel()
	assets, source := assetsOf(map[string]string{"/a.css": "a{}", "/b.woff2": "", "/c.unknown": "", "/404.html": "gone"})
	assets.NotFound = preview.NotFoundPage
	s := siteOf(t, &preview.Bundle{Assets: assets}, source)
	tag := `"` + assets.Files[1].Hash + `"`
	tests := []struct {
		name, method, target string
		header               http.Header
		status               int
		body, kind           string
	}{
		{"GET", "GET", "/a.css?v=1", nil, 200, "a{}", "text/css; charset=utf-8"},
		{"HEAD", "HEAD", "/a.css", nil, 200, "", "text/css; charset=utf-8"},
		{"HEAD, not found", "HEAD", "/nothing", nil, 404, "", "text/html; charset=utf-8"},
		{"unchanged", "GET", "/a.css", http.Header{"If-None-Match": {tag}}, 304, "", ""},
		{"unchanged, weak", "GET", "/a.css", http.Header{"If-None-Match": {"W/" + tag}}, 304, "", ""},
		{"changed", "GET", "/a.css", http.Header{"If-None-Match": {`"x"`}}, 200, "a{}", "text/css; charset=utf-8"},
		{"part", "GET", "/a.css", http.Header{"Range": {"bytes=1-"}}, 206, "{}", "text/css; charset=utf-8"},
		{"font", "GET", "/b.woff2", nil, 200, "/b.woff2", "font/woff2"},
		{"unknown", "GET", "/c.unknown", nil, 200, "/c.unknown", "application/octet-stream"},
		{"POST", "POST", "/a.css", nil, 405, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := ask(t, s, tt.method, tt.target, tt.header)
			if rec.Code != tt.status || rec.Body.String() != tt.body || rec.Header().Get("Content-Type") != tt.kind {
				t.Errorf("%d %q %q, want %d %q %q", rec.Code, rec.Body, rec.Header().Get("Content-Type"), tt.status, tt.body, tt.kind)
			}
			if rec.Code == 200 && (!strings.HasPrefix(rec.Header().Get("Etag"), `"`) || rec.Header().Get("Cache-Control") != "public, max-age=0, must-revalidate") {
				t.Errorf("headers %v", rec.Header())
			}
		})
	}
}

// TestSiteOrWorker says who answers.
func TestSiteOrWorker(t *testing.T) {
	t.Parallel()
	navigate := http.Header{"Sec-Fetch-Mode": {"navigate"}}
	app := func(b *preview.Bundle) { b.Assets.NotFound = preview.NotFoundApp }
	tests := []struct {
		name   string
		change func(*preview.Bundle)
		target string
		header http.Header
		want   bool
	}{
		{"a file", nil, "/a.css", nil, true},
		{"no file", nil, "/api", nil, false},
		{"Worker first", func(b *preview.Bundle) { b.Assets.WorkerFirst = true }, "/a.css", nil, false},
		{"Worker first on that path", func(b *preview.Bundle) { b.Assets.WorkerFirstRoutes = []string{"/a*"} }, "/a.css", nil, false},
		{"Worker first elsewhere", func(b *preview.Bundle) { b.Assets.WorkerFirstRoutes = []string{"/api/*"} }, "/a.css", nil, true},
		{"taken out again", func(b *preview.Bundle) { b.Assets.WorkerFirstRoutes = []string{"/*", "!/a.css"} }, "/a.css", nil, true},
		{"a pattern is no regular expression", func(b *preview.Bundle) { b.Assets.WorkerFirstRoutes = []string{"/a.(css)"} }, "/a.css", nil, true},
		{"application", app, "/users/1", nil, false},
		{"application, in a browser", app, "/users/1", navigate, true},
		{"application, before that date", func(b *preview.Bundle) { app(b); b.CompatibilityDate = "2025-03-31" }, "/users/1", navigate, false},
		{"application, by flag", func(b *preview.Bundle) {
			app(b)
			b.CompatibilityDate, b.CompatibilityFlags = "2025-03-31", []string{navigationOn}
		}, "/users/1", navigate, true},
		{"application, flag off", func(b *preview.Bundle) { app(b); b.CompatibilityFlags = []string{navigationOff} }, "/users/1", navigate, false},
		{"no Worker", func(b *preview.Bundle) { b.Modules = nil }, "/api", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bundle := worker("")
			bundle.Assets, _ = assetsOf(names("/a.css", "/index.html"))
			if tt.change != nil {
				tt.change(bundle)
			}
			req := httptest.NewRequest(http.MethodGet, "http://x.localhost"+tt.target, nil)
			maps.Copy(req.Header, tt.header)
			if got := newSite(bundle, nil).answers(req); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func FuzzSite(f *testing.F) {
	assets, source := assetsOf(names("/index.html", "/a/index.html", "/a.html", "/b c/[d].txt"))
	f.Add("/a/")
	f.Add("//evil.example/a/..%2f")
	dir := f.TempDir()
	for _, file := range assets.Files {
		if err := os.WriteFile(filepath.Join(dir, file.Hash), source["public"+file.Path].Data, 0o600); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, target string) {
		for _, handling := range []preview.HTMLHandling{preview.HTMLAuto, preview.HTMLForce, preview.HTMLDrop, preview.HTMLNone} {
			assets := *assets
			assets.HTML = handling
			s := newSite(&preview.Bundle{Assets: &assets}, func(hash string) (*os.File, error) { return os.Open(filepath.Join(dir, hash)) })
			req, err := http.NewRequest(http.MethodGet, "http://x.localhost"+target, nil)
			if err != nil {
				return
			}
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, req)
			to := rec.Header().Get("Location")
			if rec.Code == http.StatusTemporaryRedirect && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//")) {
				t.Errorf("%q leads to %q", target, to)
			}
		}
	})
}
