package github

import (
	"net/http"
	"net/url"
	"strings"
)

// apiPrefix is where GitHub Enterprise serves its REST API.
const apiPrefix = "/api/v3"

// serveAPI finds the route of a request. The standard library's mux refuses GitHub's templates, some
// of which overlap without one being the more specific.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), apiPrefix)
	if rest, ok := strings.CutPrefix(path, "/repositories/"); ok {
		s.serveByID(w, r, rest)
		return
	}
	for _, open := range []bool{false, true} { // a template that swallows slashes comes last
		for i := range s.routes {
			rt := &s.routes[i]
			if rt.method == r.Method || (rt.method == http.MethodGet && r.Method == http.MethodHead) {
				if values, ok := match(rt.template, path, open); ok {
					for name, value := range values {
						r.SetPathValue(name, value)
					}
					s.serve(w, r, rt)
					return
				}
			}
		}
	}
	s.serve(w, r, &route{method: "*", template: "unknown"})
}

// match compares an escaped path with a template. With open, the template's last parameter takes all that is left.
func match(template, path string, open bool) (map[string]string, bool) {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	last := want[len(want)-1]
	swallows := open && (last == "{path}" || last == "{ref}" || last == "{basehead}" || last == "{branch}")
	if len(have) != len(want) && (!swallows || len(have) < len(want)) {
		return nil, false
	}
	values := map[string]string{}
	for i, part := range want {
		text := have[i]
		if swallows && i == len(want)-1 {
			text = strings.Join(have[i:], "/")
		}
		name, isParameter := strings.CutPrefix(part, "{")
		switch {
		case !isParameter && part != text:
			return nil, false
		case isParameter:
			value, err := url.PathUnescape(text)
			if err != nil || (value == "" && part != "{path}") {
				return nil, false
			}
			values[strings.TrimSuffix(name, "}")] = value
		}
	}
	return values, true
}
