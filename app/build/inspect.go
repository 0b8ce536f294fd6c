package build

import (
	"maps"
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

// Inspect reads the Wrangler configuration of worker. siblings are the Workers that its services may
// name: what their own configurations call them. ok is false when it can't be read at all.
func Inspect(worker preview.WorkerLayout, data []byte, siblings []string) (s Summary, ok bool) {
	known := map[string]string{}
	for _, name := range siblings {
		known[name] = name
	}
	doc, problem := parseDocument(worker.WranglerConfig, data)
	if problem != nil {
		return Summary{Problems: []preview.Problem{*problem}}, false
	}
	w, problems := parseWrangler(worker, data, known, preview.Allowance{Section: preview.PreviewSection})
	r := newWranglerReader(doc, preview.PreviewSection)
	s = Summary{Name: textOf(doc.values["name"]), Main: w.main, D1: len(r.list("d1_databases")) > 0, Pages: r.has("pages_build_output_dir"), Problems: problems,
		Vars: slices.Sorted(maps.Keys(r.object("vars")))}
	if w.static != nil {
		s.Assets = w.static.Directory
	}
	return s, true
}

func textOf(v any) string {
	text, _ := v.(string)
	return text
}
