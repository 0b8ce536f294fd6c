package workerd

import (
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// site answers for the static files of one generation as Cloudflare documents it: which path
// leads to which file is worked out beforehand, so a request only ever picks from what is there.
type site struct {
	assets *preview.Assets
	open   func(hash string) (*os.File, error)
	routes map[string]route // by unescaped path

	worker       bool             // there is a Worker behind it
	first, never []*regexp.Regexp // paths for the Worker, and those that are taken out again
	navigation   bool             // what a browser navigates to gets the fallback page, not the Worker
}

// route is a file, or a redirect to the path where it is served.
type route struct {
	asset    *preview.Asset
	redirect string // unescaped path
}

const (
	// The compatibility date from which navigation prefers assets, and the flags that say so.
	navigationByDefault = "2025-04-01"
	navigationOn        = "assets_navigation_prefers_asset_serving"
	navigationOff       = "assets_navigation_has_no_effect"
)

// newSite makes the site of a checked bundle.
func newSite(bundle *preview.Bundle, open func(hash string) (*os.File, error)) *site {
	s := &site{assets: bundle.Assets, open: open, routes: pathsOf(bundle.Assets), worker: len(bundle.Modules) > 0}
	s.navigation = bundle.CompatibilityDate >= navigationByDefault || slices.Contains(bundle.CompatibilityFlags, navigationOn)
	if slices.Contains(bundle.CompatibilityFlags, navigationOff) {
		s.navigation = false
	}
	for _, rule := range bundle.Assets.WorkerFirstRoutes {
		pattern, not := strings.CutPrefix(rule, "!")
		match := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
		if not {
			s.never = append(s.never, match)
		} else {
			s.first = append(s.first, match)
		}
	}
	return s
}

// pathsOf gives every path that has an answer. A page is foo.html, an index is foo/index.html.
func pathsOf(assets *preview.Assets) map[string]route {
	exact := make(map[string]*preview.Asset, len(assets.Files))
	for i := range assets.Files {
		exact[assets.Files[i].Path] = &assets.Files[i]
	}
	routes := make(map[string]route, 2*len(exact))
	set := func(path string, r route) {
		if _, taken := routes[path]; !taken {
			routes[path] = r
		}
	}
	html := func(name string) bool { return assets.HTML != preview.HTMLNone && strings.HasSuffix(name, ".html") }
	stems := map[string]bool{}
	for name, asset := range exact {
		if html(name) {
			stems[stemOf(name)] = true
		} else {
			set(name, route{asset: asset})
		}
	}
	for _, stem := range slices.Sorted(maps.Keys(stems)) { // "/foo" before "/foo/index"
		page, index := exact[stem+".html"], exact[stem+"/index.html"]
		if stem == "" {
			page = nil
		}
		pageAt, indexAt := canonical(assets.HTML, stem)
		// Where both would be at one path, the index has it if that ends in a slash.
		if index != nil && (indexAt != pageAt || strings.HasSuffix(indexAt, "/") || page == nil) {
			set(indexAt, route{asset: index})
		}
		if page != nil {
			set(pageAt, route{asset: page})
		}
		if index != nil {
			set(indexAt, route{asset: index})
		}
		pageWon, indexWon := page != nil && routes[pageAt].asset == page, index != nil && routes[indexAt].asset == index
		// What has no path of its own is served under its full name.
		if page != nil && !pageWon {
			set(stem+".html", route{asset: page})
		}
		if index != nil && !indexWon {
			set(stem+"/index.html", route{asset: index})
		}
		otherSpellings(stem, pageAt, indexAt, pageWon, indexWon, set)
	}
	return routes
}

// otherSpellings lead to where a page or an index is served.
func otherSpellings(stem, pageAt, indexAt string, page, index bool, set func(string, route)) {
	lead := func(from string, pageFirst bool) {
		switch {
		case page && (pageFirst || !index):
			set(from, route{redirect: pageAt})
		case index:
			set(from, route{redirect: indexAt})
		}
	}
	if stem != "" {
		lead(stem, true)
		lead(stem+".html", true)
	}
	lead(stem+"/", false)
	lead(stem+"/index", false)
	lead(stem+"/index.html", false)
}

// stemOf is "/foo" for /foo.html and /foo/index.html, and empty for /index.html.
func stemOf(name string) string {
	if stem, ok := strings.CutSuffix(name, "/index.html"); ok {
		return stem
	}
	return strings.TrimSuffix(name, ".html")
}

// canonical says where a page and an index of that stem are served.
func canonical(handling preview.HTMLHandling, stem string) (page, index string) {
	page, index = stem, stem+"/"
	switch {
	case handling == preview.HTMLForce:
		page = stem + "/"
	case handling == preview.HTMLDrop && stem != "":
		index = stem
	}
	return page, index
}

// answers reports whether the request is for the static files, and not for the Worker.
func (s *site) answers(req *http.Request) bool {
	if !s.worker {
		return true
	}
	name := unescaped(req.URL.EscapedPath())
	matches := func(p *regexp.Regexp) bool { return p.MatchString(req.URL.EscapedPath()) }
	switch {
	case slices.ContainsFunc(s.never, matches):
		return true
	case slices.ContainsFunc(s.first, matches), s.assets.WorkerFirst:
		return false
	}
	if _, ok := s.routes[name]; ok {
		return true
	}
	if s.navigation && req.Header.Get("Sec-Fetch-Mode") == "navigate" {
		asset, _ := s.fallback(name)
		return asset != nil
	}
	return false
}

// ServeHTTP answers from the files alone; it is also what a Worker's binding leads to.
func (s *site) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	escaped := req.URL.EscapedPath()
	name := unescaped(escaped)
	found, status := s.routes[name], http.StatusOK
	fallback := found == route{}
	if fallback {
		found.asset, status = s.fallback(name)
	}
	switch {
	case found == route{}:
		w.WriteHeader(http.StatusNotFound)
		return
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	// One path has one spelling. A route's path is clean, so that this leads to no other host.
	target := name
	if found.redirect != "" {
		target = found.redirect
	}
	if to := escapedPath(target); !fallback && to != escaped {
		if req.URL.RawQuery != "" {
			to += "?" + req.URL.RawQuery
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	s.send(w, req, found.asset, status)
}

// fallback is what is served where nothing is.
func (s *site) fallback(name string) (*preview.Asset, int) {
	file := func(name string) *preview.Asset {
		i, ok := slices.BinarySearchFunc(s.assets.Files, name, func(a preview.Asset, name string) int { return strings.Compare(a.Path, name) })
		if !ok {
			return nil
		}
		return &s.assets.Files[i]
	}
	switch s.assets.NotFound {
	case preview.NotFoundApp:
		return file("/index.html"), http.StatusOK
	case preview.NotFoundPage:
		for at := strings.LastIndexByte(name, '/'); at >= 0; at = strings.LastIndexByte(name, '/') {
			name = name[:at]
			if asset := file(name + "/404.html"); asset != nil {
				return asset, http.StatusNotFound
			}
		}
	}
	return nil, http.StatusNotFound
}

func (s *site) send(w http.ResponseWriter, req *http.Request, asset *preview.Asset, status int) {
	f, err := s.open(asset.Hash)
	if err != nil {
		fail(w, http.StatusInternalServerError, "ENV_PREVIEW_ASSET", "A static file can't be read.", "Rebuild the preview.")
		return
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", contentType(asset.Path))
	h.Set("Etag", `"`+asset.Hash+`"`)
	h.Set("Cache-Control", "public, max-age=0, must-revalidate")
	if status == http.StatusOK {
		http.ServeContent(w, req, "", time.Time{}, f)
		return
	}
	w.WriteHeader(status)
	if req.Method != http.MethodHead {
		_, _ = io.Copy(w, f) // the reader may be gone
	}
}

// contentType goes by the ending, for what Go does not know on every system by our own list.
func contentType(name string) string {
	ending := strings.ToLower(path.Ext(name))
	known := map[string]string{
		".csv": "text/csv; charset=utf-8", ".ico": "image/vnd.microsoft.icon", ".map": "application/json", ".md": "text/markdown; charset=utf-8",
		".mp3": "audio/mpeg", ".mp4": "video/mp4", ".otf": "font/otf", ".ttf": "font/ttf", ".txt": "text/plain; charset=utf-8",
		".webm": "video/webm", ".webmanifest": "application/manifest+json", ".woff": "font/woff", ".woff2": "font/woff2",
	}
	if t := known[ending]; t != "" {
		return t
	}
	if t := mime.TypeByExtension(ending); t != "" {
		return t
	}
	return "application/octet-stream"
}

// unescaped undoes the percent signs of each part of a path, and joins doubled slashes.
func unescaped(escaped string) string {
	parts := strings.Split(escaped, "/")
	for i, part := range parts {
		if plain, err := url.PathUnescape(part); err == nil {
			parts[i] = plain
		}
	}
	name := strings.Join(parts, "/")
	for strings.Contains(name, "//") {
		name = strings.ReplaceAll(name, "//", "/")
	}
	return name
}

// escapedPath writes a path as encodeURIComponent does with each part.
func escapedPath(name string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("/-_.!~*'()", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString(string([]byte{'%', hex[c>>4], hex[c&15]}))
		}
	}
	return b.String()
}
