package build

import (
	"maps"
	"path"
	"slices"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Summary is what a Wrangler configuration says of its Worker, for somebody who has the file but
// not the repository.
type Summary struct {
	Name   string   // hostile text
	Main   string   // entry point, from the root of the repository; empty: static assets only
	Assets string   // folder of the static assets, from the root of the repository; empty: none
	Vars   []string // names of the variables, sorted
	D1     bool     // binds a D1 database, which has SQLite migrations
	Pages  bool     // configures a Pages project, which is no Worker
	// Problems are what Bundle would say of the file.
	Problems []preview.Problem
}

// Inspect reads the Wrangler configuration at name in a repository whose Worker gets its database
// by binding. ok is false when it can't be read at all.
func Inspect(name string, data []byte, binding string) (s Summary, ok bool) {
	layout := preview.Layout{WranglerConfig: name, DatabaseBinding: binding}
	doc, problem := parseDocument(name, data)
	if problem != nil {
		return Summary{Problems: []preview.Problem{*problem}}, false
	}
	w, problems := parseWrangler(layout, data)
	if w == nil {
		return Summary{Problems: problems}, false
	}
	r := &wranglerReader{document: doc, dir: path.Dir(doc.path)}
	s = Summary{Name: r.text("name"), Main: w.main, D1: len(r.list("d1_databases")) > 0, Pages: r.has("pages_build_output_dir"), Problems: problems,
		Vars: slices.Sorted(maps.Keys(r.object("vars")))}
	if w.static != nil {
		s.Assets = w.static.Directory
	}
	return s, true
}
