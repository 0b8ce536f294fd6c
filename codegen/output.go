package codegen

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/drift"
	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
	"github.com/flaresmith/flaresmith/codegen/target"
)

// made is a document and what it says.
type made struct {
	document
	model *ir.Model
}

// output collects the files of a run.
type output struct {
	in    *Inputs
	all   []drift.File
	notes spec.Problems
}

// write makes the files of all documents, sorted by path. Two files of one path are an error of the layout.
func (w *output) write(documents []made) error {
	var routed []made
	for _, d := range documents {
		if w.wants(zod) {
			w.add(zod, w.schemas(d), drift.Seal(generation, d.source, target.Zod(d.model)))
		}
		if len(d.model.Operations) == 0 {
			continue
		}
		routed = append(routed, d)
		if w.wants(mcp) {
			if err := w.addJSON(mcp, place(w.in.layout.MCP, d.stem, "mcp", ".json"), d.source, target.MCP(d.model)); err != nil {
				return err
			}
		}
	}
	if len(routed) > 0 && w.wants(hono) {
		w.hono(routed)
	}
	slices.SortFunc(w.all, func(a, b drift.File) int { return strings.Compare(a.Path, b.Path) })
	for i := 1; i < len(w.all); i++ {
		if w.all[i].Path == w.all[i-1].Path {
			return fmt.Errorf("two generated files would be %s: change the layout, or rename a contract", w.all[i].Path)
		}
	}
	return nil
}

func (w *output) wants(name string) bool { return slices.Contains(w.in.targets, name) }

func (w *output) add(kind, name string, content []byte) {
	w.all = append(w.all, drift.File{Path: name, Target: kind, Content: content})
}

func (w *output) once(kind, name string, content []byte) {
	w.all = append(w.all, drift.File{Path: name, Target: kind, Content: content, Once: true})
}

func (w *output) addJSON(kind, name, source string, body []byte) error {
	content, err := drift.SealJSON(generation, source, body)
	if err == nil {
		w.add(kind, name, content)
	}
	return err
}

func (w *output) schemas(d made) string {
	return place(w.in.layout.Schemas, d.stem, "schemas", ".ts")
}

// hono makes the routes of each document, the file that each gets its handlers from, and the app.
func (w *output) hono(documents []made) {
	layout := w.in.layout
	entry, app, http, env := path.Join(layout.Source, "index.ts"), path.Join(layout.Source, "app.ts"), path.Join(layout.Source, "http.ts"), path.Join(layout.Source, "env.ts")
	parts := make([]target.HonoPart, len(documents))
	sources := make([]string, len(documents))
	for i, d := range documents {
		routes, handlers := place(layout.Routes, d.stem, "routes", ".ts"), place(layout.Handlers, d.stem, "handlers", ".ts")
		imports := target.HonoImports{Schemas: module(routes, w.schemas(d)), HTTP: module(routes, http), Env: module(routes, env)}
		w.add(hono, routes, drift.Seal(generation, d.source, target.Hono(d.model, imports)))
		w.once(hono, handlers, target.HonoHandlers(module(handlers, routes)))
		parts[i] = target.HonoPart{Name: cmp.Or(d.stem, "api"), Routes: module(app, routes), Handlers: module(app, handlers)}
		sources[i] = d.source
	}
	source := "the contracts"
	if len(sources) == 1 {
		source = sources[0]
	}
	w.add(hono, app, drift.Seal(generation, source, target.HonoApp(parts, module(app, env))))
	w.add(hono, http, drift.Seal(generation, source, target.HonoHTTP(module(http, env))))
	w.once(hono, env, target.HonoEnv())
	w.once(hono, entry, target.HonoEntry(module(entry, app), module(entry, env), module(entry, http)))
}
