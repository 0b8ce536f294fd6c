package workerd

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/app/preview"
)

// asksAssets is a Worker that answers with what its binding gives for ?of=, and else by itself.
const asksAssets = `export default { async fetch(req, env) {
	const url = new URL(req.url);
	const of = url.searchParams.get("of");
	if (of === null) return new Response("worker " + url.pathname);
	const res = await env.ASSETS.fetch(new Request(new URL(of, "http://assets.local"), { method: req.method, redirect: "manual" }));
	return new Response(res.status + " " + (res.headers.get("content-type") ?? res.headers.get("location")) + " " + await res.text());
} };`

func TestAssetsWithWorker(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	bundle := worker(asksAssets)
	assets, source := assetsOf(map[string]string{"/index.html": "<h1>home</h1>", "/about.html": "about", "/img/a b.svg": "<svg/>", "/copy.html": "about"})
	assets.Binding = "ASSETS"
	bundle.Assets = assets
	in := preview.Inputs{Bundle: bundle, Source: source}
	if _, err := rt.Apply(t.Context(), r, in); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/": "<h1>home</h1>", "/about": "about", "/img/a%20b.svg": "<svg/>", "/api": "worker /api",
		"/api?of=/about":                   "200 text/html; charset=utf-8 about",
		"/api?of=/about.html":              "307 /about ",
		"/api?of=/img/a%2520b.svg":         "200 image/svg+xml <svg/>",
		"/api?of=/nothing":                 "404 null ",
		"/api?of=/../../../../etc/passwd":  "404 null ",
		"/api?of=/..%252f..%252fmark.json": "404 null ",
	} {
		wantGet(t, rt, r.Name, path, want)
	}
	if status, _ := get(t, rt, r.Name, "/about.html"); status != http.StatusTemporaryRedirect {
		t.Errorf("GET /about.html: %d", status)
	}
	// Many at once are more than the connections to the server.
	var done [200]chan string
	for i := range done {
		done[i] = make(chan string, 1)
		go func() { _, body := get(t, rt, r.Name, fmt.Sprintf("/x%d?of=/about", i)); done[i] <- body }()
	}
	for i := range done {
		if body := <-done[i]; body != "200 text/html; charset=utf-8 about" {
			t.Fatalf("request %d: %q", i, body)
		}
	}
	// Each content is stored once, and all of it goes with the preview.
	stored, err := filepath.Glob(filepath.Join(rt.config.Dir, r.Name, "g-*", assetsFolder, "*"))
	if err != nil || len(stored) != 3 {
		t.Errorf("%d files, %v, want 3", len(stored), err)
	}
	if err := rt.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(rt.config.Dir, r.Name)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder outlives Delete: %v", err)
	}
}

// A new version brings its own files; one without a Worker, and one that runs the Worker first.
func TestAssetsAcrossVersions(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	deploy := func(digest string, bundle *preview.Bundle, files map[string]string, change func(*preview.Assets)) {
		t.Helper()
		assets, source := assetsOf(files)
		if change != nil {
			change(assets)
		}
		bundle.Assets, bundle.Digest, r.Digest = assets, digest, digest
		if _, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: bundle, Source: source}); err != nil {
			t.Fatal(err)
		}
	}
	alone := func() *preview.Bundle {
		return &preview.Bundle{CompatibilityDate: "2026-01-01", DatabaseBinding: testBinding}
	}
	deploy("1", alone(), map[string]string{"/index.html": "one", "/404.html": "gone"}, func(a *preview.Assets) { a.NotFound = preview.NotFoundPage })
	wantGet(t, rt, r.Name, "/", "one")
	if status, body := get(t, rt, r.Name, "/x"); status != http.StatusNotFound || body != "gone" {
		t.Errorf("GET /x: %d %q", status, body)
	}
	deploy("2", alone(), map[string]string{"/index.html": "two"}, func(a *preview.Assets) { a.NotFound = preview.NotFoundApp })
	wantGet(t, rt, r.Name, "/", "two")
	wantGet(t, rt, r.Name, "/deep/link", "two")
	deploy("3", worker(answering(`return new Response("worker first")`)), map[string]string{"/index.html": "three"}, func(a *preview.Assets) { a.WorkerFirst = true })
	wantGet(t, rt, r.Name, "/", "worker first")
	deploy("4", worker(answering(`return new Response("only on " + url.pathname)`)), map[string]string{"/index.html": "four", "/api/x.txt": "x"}, func(a *preview.Assets) { a.WorkerFirstRoutes = []string{"/api/*"} })
	wantGet(t, rt, r.Name, "/", "four")
	wantGet(t, rt, r.Name, "/api/x.txt", "only on /api/x.txt")
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.Name+".localhost:8080/form", strings.NewReader("a=b"))
	rec := httptest.NewRecorder()
	rt.ServeHTTP(rec, req)
	if rec.Body.String() != "only on /form" {
		t.Errorf("POST: %d %q", rec.Code, rec.Body)
	}
}

// What does not fit changes nothing for those who use the version before.
func TestAssetsRefused(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	apply(t, rt, r, worker(answering(`return new Response("before")`)))
	tests := []struct {
		name    string
		change  func(*preview.Assets, map[string]bool)
		invalid bool
	}{
		{"path", func(a *preview.Assets, _ map[string]bool) { a.Files[0].Path = "/../x" }, true},
		{"relative path", func(a *preview.Assets, _ map[string]bool) { a.Files[0].Path = "x" }, true},
		{"hash", func(a *preview.Assets, _ map[string]bool) { a.Files[0].Hash = "../../mark.json" }, true},
		{"folder", func(a *preview.Assets, _ map[string]bool) { a.Directory = "../up" }, true},
		{"twice", func(a *preview.Assets, _ map[string]bool) { a.Files = append(a.Files, a.Files[0]) }, true},
		{"large", func(a *preview.Assets, _ map[string]bool) { a.Files[0].Size = maxAssetBytes + 1 }, true},
		{"binding", func(a *preview.Assets, _ map[string]bool) { a.Binding = "a\nb" }, true},
		{"route", func(a *preview.Assets, _ map[string]bool) { a.WorkerFirstRoutes = []string{"/\xff"} }, true},
		{"handling", func(a *preview.Assets, _ map[string]bool) { a.HTML = "" }, true},
		{"other content", func(a *preview.Assets, _ map[string]bool) { a.Files[0].Hash = strings.Repeat("0", 64) }, false},
		{"longer content", func(a *preview.Assets, _ map[string]bool) { a.Files[0].Size-- }, false},
		{"no such file", func(a *preview.Assets, _ map[string]bool) { a.Files[0].Path = "/other" }, false},
		{"no source", func(_ *preview.Assets, without map[string]bool) { without["source"] = true }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assets, source := assetsOf(names("/index.html"))
			without := map[string]bool{}
			tt.change(assets, without)
			bundle := worker(answering(`return new Response("after")`))
			bundle.Assets, bundle.Digest = assets, tt.name
			in := preview.Inputs{Bundle: bundle, Source: source}
			if without["source"] {
				in.Source = nil
			}
			next := r
			next.Digest = tt.name
			if _, err := rt.Apply(t.Context(), next, in); err == nil || (preview.Classify(err) == preview.ClassInvalid) != tt.invalid {
				t.Errorf("error %v", err)
			}
			wantGet(t, rt, r.Name, "/", "before")
		})
	}
}
