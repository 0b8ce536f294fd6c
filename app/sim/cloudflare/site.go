package cloudflare

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// navigationFrom is the compatibility date from which a browser's navigation prefers static files.
const navigationFrom = "2025-04-01"

// site answers from the static files of one version.
type site struct {
	files      map[string]asset
	served     map[string]string // file by the path where it is served
	redirects  map[string]string // path where it is served by other spellings of it
	notFound   string
	worker     bool // there is one behind it
	navigation bool
	all        bool // every request goes to the Worker first
	first      []*regexp.Regexp
	never      []*regexp.Regexp
}

func newSite(files map[string]asset, c assetConfig, worker bool, date string) (*site, error) {
	s := &site{files: files, served: map[string]string{}, redirects: map[string]string{}, notFound: c.NotFound, worker: worker, navigation: date >= navigationFrom}
	var patterns []string
	if len(c.WorkerFirst) > 0 && json.Unmarshal(c.WorkerFirst, &s.all) != nil && json.Unmarshal(c.WorkerFirst, &patterns) != nil {
		return nil, fail(http.StatusBadRequest, codeUpload, "run_worker_first is neither a boolean nor a list.")
	}
	for _, pattern := range patterns {
		pattern, not := strings.CutPrefix(pattern, "!")
		match := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
		if not {
			s.never = append(s.never, match)
		} else {
			s.first = append(s.first, match)
		}
	}
	s.place(c.HTML)
	return s, nil
}

// place works out where each file is served: an index wins over a page where both would be.
func (s *site) place(handling string) {
	names := slices.Sorted(maps.Keys(s.files))
	isIndex := func(name string) bool { return strings.HasSuffix(name, "/index.html") }
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case isIndex(a) && !isIndex(b):
			return -1
		case isIndex(b) && !isIndex(a):
			return 1
		}
		return 0
	})
	for _, name := range names {
		at := where(name, handling)
		if _, taken := s.served[at]; taken {
			at = name
		}
		s.served[at] = name
	}
	for at, name := range s.served {
		if at == name {
			continue
		}
		stem := strings.TrimSuffix(strings.TrimSuffix(name, ".html"), "/index")
		for _, other := range []string{name, strings.TrimSuffix(name, ".html"), stem, stem + "/"} {
			if _, taken := s.served[other]; !taken && other != "" {
				s.redirects[other] = at
			}
		}
	}
}

// where is the path at which a file is served.
func where(name, handling string) string {
	if !strings.HasSuffix(name, ".html") || handling == "none" {
		return name
	}
	stem, index := strings.CutSuffix(name, "/index.html")
	stem = strings.TrimSuffix(stem, ".html")
	switch {
	case stem == "", handling == "force-trailing-slash", index && handling != "drop-trailing-slash":
		return stem + "/"
	}
	return stem
}

// answers reports whether a request is for the files, and not for the Worker.
func (s *site) answers(r *http.Request) bool {
	path := r.URL.EscapedPath()
	match := func(p *regexp.Regexp) bool { return p.MatchString(path) }
	switch {
	case !s.worker, slices.ContainsFunc(s.never, match):
		return true
	case s.all, slices.ContainsFunc(s.first, match):
		return false
	}
	if s.served[r.URL.Path] != "" || s.redirects[r.URL.Path] != "" {
		return true
	}
	name, _ := s.fallback(r.URL.Path)
	return s.navigation && r.Header.Get("Sec-Fetch-Mode") == "navigate" && name != ""
}

// fallback is what is served where nothing is; empty: nothing either.
func (s *site) fallback(path string) (name string, status int) {
	switch s.notFound {
	case "single-page-application":
		if _, ok := s.files["/index.html"]; ok {
			return "/index.html", http.StatusOK
		}
	case "404-page":
		for at := strings.LastIndexByte(path, '/'); at >= 0; at = strings.LastIndexByte(path, '/') {
			path = path[:at]
			if _, ok := s.files[path+"/404.html"]; ok {
				return path + "/404.html", http.StatusNotFound
			}
		}
	}
	return "", http.StatusNotFound
}

// ServeHTTP is also what a Worker's binding leads to.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if to := s.redirects[r.URL.Path]; to != "" {
		w.Header().Set("Location", (&url.URL{Path: to, RawQuery: r.URL.RawQuery}).String())
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	name, status := s.served[r.URL.Path], http.StatusOK
	if name == "" {
		name, status = s.fallback(r.URL.Path)
	}
	switch {
	case name == "":
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	file := s.files[name]
	w.Header()["Content-Type"] = nil // no guess
	if file.contentType != "" {
		w.Header().Set("Content-Type", file.contentType)
	}
	w.Header().Set("Cache-Control", "public, max-age=0, must-revalidate")
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = w.Write(file.content) // who does not listen can't be told
	}
}
