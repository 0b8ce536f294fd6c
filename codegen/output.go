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
	db    *ir.Database // nil where tables are no target, or there are none
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
	if len(routed) > 0 && w.wants(postman) {
		if err := w.postman(routed); err != nil {
			return err
		}
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
	for i, d := range documents {
		routes, handlers := place(layout.Routes, d.stem, "routes", ".ts"), place(layout.Handlers, d.stem, "handlers", ".ts")
		imports := target.HonoImports{Schemas: module(routes, w.schemas(d)), HTTP: module(routes, http), Env: module(routes, env)}
		w.add(hono, routes, drift.Seal(generation, d.source, target.Hono(d.model, imports)))
		w.once(hono, handlers, target.HonoHandlers(module(handlers, routes)))
		parts[i] = target.HonoPart{Name: cmp.Or(d.stem, "api"), Routes: module(app, routes), Handlers: module(app, handlers)}
		if name := w.crud(d, routes); name != "" {
			parts[i].CRUD = module(app, name)
		}
	}
	database := target.HonoDatabase{Client: module(app, path.Join(layout.Database, "client.ts")), Authorize: module(app, path.Join(layout.Source, "authorize.ts"))}
	if slices.ContainsFunc(parts, func(p target.HonoPart) bool { return p.CRUD != "" }) {
		w.crudApp(documents, env, http)
	}
	w.add(hono, app, drift.Seal(generation, source(documents), target.HonoApp(parts, module(app, env), database)))
	w.add(hono, http, drift.Seal(generation, source(documents), target.HonoHTTP(module(http, env))))
	w.once(hono, env, target.HonoEnv())
	w.once(hono, entry, target.HonoEntry(module(entry, app), module(entry, env), module(entry, http)))
}

// crud makes a contract's handlers for plain CRUD, and gives the name of their file; empty where there are none.
func (w *output) crud(d made, routes string) string {
	if w.db == nil {
		return ""
	}
	operations, notes := ir.CRUDs(d.model, w.db)
	w.notes = append(w.notes, notes...)
	if len(operations) == 0 {
		return ""
	}
	name := strings.TrimSuffix(routes, ".ts") + ".crud.ts"
	imports := target.CRUDImports{
		Shared: module(name, path.Join(w.in.layout.Source, "crud.ts")), Schemas: module(name, w.schemas(d)), Tables: module(name, path.Join(w.in.layout.Database, "schema.ts")), Routes: module(name, routes),
	}
	w.add(hono, name, drift.Seal(generation, d.source, target.CRUD(operations, imports)))
	return name
}

// crudApp makes what these handlers share, and the files in which people say how to get a database, and who may.
func (w *output) crudApp(documents []made, env, http string) {
	layout := w.in.layout
	shared, client, authorize := path.Join(layout.Source, "crud.ts"), path.Join(layout.Database, "client.ts"), path.Join(layout.Source, "authorize.ts")
	w.add(hono, shared, drift.Seal(generation, source(documents), target.CRUDShared(module(shared, env))))
	w.once(hono, client, target.DatabaseClient(module(client, env), module(client, path.Join(layout.Database, "schema.ts"))))
	w.once(hono, authorize, target.Authorize(module(authorize, env), module(authorize, http)))
}

// What the names of Postman's files end with; a preview reads them from one folder.
const (
	collectionSuffix  = ".postman_collection.json"
	environmentSuffix = ".postman_environment.json"
)

// postman makes a collection of each document, and the environments for all of them.
func (w *output) postman(documents []made) error {
	models := make([]*ir.Model, len(documents))
	for i, d := range documents {
		models[i] = d.model
		stem := strings.ReplaceAll(d.stem, "/", ".") // the folder is flat
		err := w.addJSON(postman, place(w.in.layout.Collections, stem, "api", collectionSuffix), d.source, target.Postman(d.model, cmp.Or(d.stem, "api")))
		if err != nil {
			return err
		}
	}
	for _, name := range w.in.layout.Environments {
		body, inferred := target.PostmanEnvironment(name, models)
		file := path.Join(w.in.layout.Collections, name+environmentSuffix)
		if err := w.addJSON(postman, file, source(documents), body); err != nil {
			return err
		}
		if inferred {
			w.notes = append(w.notes, spec.Problem{File: documents[0].source, Line: 1, Column: 1, Message: "no server is called " + name + ": the address in " + file + " is a guess, or empty"})
		}
	}
	return nil
}

// source is what files that come from several contracts say in their heads.
func source(documents []made) string {
	if len(documents) == 1 {
		return documents[0].source
	}
	return "the contracts"
}
