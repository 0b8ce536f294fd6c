package codegen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

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
	in *Inputs
	db *ir.Database // nil where tables are no target, or there are none

	mu    sync.Mutex // targets are written at the same time
	all   []drift.File
	size  int // bytes of all
	notes spec.Problems
}

// maxFiles bounds all files together.
const maxFiles = 2 * target.MaxFile

var errTooLarge = fmt.Errorf("all generated files together would take more than %d MB: ask for fewer targets, or make shorter what many operations share, such as an example or a description, as it is written for each of them", maxFiles>>20)

// tooLarge tells what to do about a file that would be too large.
func tooLarge(source, what string, limit int) error {
	return spec.Problems{{File: source, Line: 1, Column: 1, Message: fmt.Sprintf("%s would take more than %d MB: make shorter what many operations share, such as an example, a description or a list of values, as it is written for each of them, or divide the document", what, limit>>20)}}
}

// write makes the files of all documents, sorted by path. Two files of one path are an error of the layout.
func (w *output) write(ctx context.Context, documents []made) error {
	routed := slices.DeleteFunc(slices.Clone(documents), func(d made) bool { return len(d.model.Operations) == 0 })
	var parts []func() error
	if len(routed) > 0 && w.wants(postman) { // what takes longest begins
		parts = append(parts, func() error { return w.postman(ctx, routed) })
	}
	if len(routed) > 0 && w.wants(hono) {
		parts = append(parts, func() error { return w.hono(ctx, routed) })
	}
	for _, d := range routed {
		if w.wants(mcp) {
			parts = append(parts, func() error {
				return w.addJSON(ctx, mcp, place(w.in.layout.MCP, d.stem, "mcp", ".json"), d.source, func() ([]byte, error) { return target.MCP(ctx, d.model) })
			})
		}
	}
	for _, d := range documents {
		if w.wants(zod) {
			parts = append(parts, func() error {
				return w.addModule(ctx, zod, w.schemas(d), d.source, func() ([]byte, error) { return target.Zod(ctx, d.model) })
			})
		}
	}
	err := together(parts...)
	switch {
	case w.size > maxFiles: // whichever file came last
		return errTooLarge
	case err != nil:
		return err
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
	w.collect(drift.File{Path: name, Target: kind, Content: content})
}

func (w *output) once(kind, name string, content []byte) {
	w.collect(drift.File{Path: name, Target: kind, Content: content, Once: true})
}

func (w *output) collect(f drift.File) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size += len(f.Content); w.size > maxFiles {
		w.all = nil
		return
	}
	w.all = append(w.all, f)
}

func (w *output) note(notes ...spec.Problem) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, notes...)
}

// made makes a file's content, unless there is too much already, or nobody waits for it any more.
func (w *output) made(ctx context.Context, name, source string, content func() ([]byte, error)) ([]byte, error) {
	w.mu.Lock()
	full := w.size > maxFiles
	w.mu.Unlock()
	if full {
		return nil, errTooLarge
	}
	doing := name + " was made"
	if err := ended(ctx, source, doing); err != nil {
		return nil, err
	}
	body, err := content()
	if errors.Is(err, target.ErrTooLarge) {
		return nil, tooLarge(source, name, target.MaxFile)
	}
	if err != nil {
		return nil, cmp.Or(ended(ctx, source, doing), err)
	}
	return body, nil
}

func (w *output) addModule(ctx context.Context, kind, name, source string, content func() ([]byte, error)) error {
	body, err := w.made(ctx, name, source, content)
	if err == nil {
		w.add(kind, name, drift.Seal(generation, source, body))
	}
	return err
}

func (w *output) addJSON(ctx context.Context, kind, name, source string, content func() ([]byte, error)) error {
	body, err := w.made(ctx, name, source, content)
	if err != nil {
		return err
	}
	sealed, err := drift.SealJSON(generation, source, body)
	if err == nil {
		w.add(kind, name, sealed)
	}
	return err
}

func (w *output) schemas(d made) string {
	return place(w.in.layout.Schemas, d.stem, "schemas", ".ts")
}

// hono makes the routes of each document, the file that each gets its handlers from, and the app.
func (w *output) hono(ctx context.Context, documents []made) error {
	layout := w.in.layout
	entry, app, http, env := path.Join(layout.Source, "index.ts"), path.Join(layout.Source, "app.ts"), path.Join(layout.Source, "http.ts"), path.Join(layout.Source, "env.ts")
	parts := make([]target.HonoPart, len(documents))
	for i, d := range documents {
		routes, handlers := place(layout.Routes, d.stem, "routes", ".ts"), place(layout.Handlers, d.stem, "handlers", ".ts")
		imports := target.HonoImports{Schemas: module(routes, w.schemas(d)), HTTP: module(routes, http), Env: module(routes, env)}
		if err := w.addModule(ctx, hono, routes, d.source, func() ([]byte, error) { return target.Hono(ctx, d.model, imports) }); err != nil {
			return err
		}
		w.once(hono, handlers, target.HonoHandlers(module(handlers, routes)))
		parts[i] = target.HonoPart{Name: cmp.Or(d.stem, "api"), Routes: module(app, routes), Handlers: module(app, handlers)}
		name, err := w.crud(ctx, d, routes)
		if err != nil {
			return err
		}
		if name != "" {
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
	return nil
}

// crud makes a contract's handlers for plain CRUD, and gives the name of their file; empty where there are none.
func (w *output) crud(ctx context.Context, d made, routes string) (string, error) {
	if w.db == nil {
		return "", nil
	}
	operations, notes := ir.CRUDs(ctx, d.model, w.db)
	w.note(notes...)
	if len(operations) == 0 {
		return "", nil
	}
	name := strings.TrimSuffix(routes, ".ts") + ".crud.ts"
	imports := target.CRUDImports{
		Shared: module(name, path.Join(w.in.layout.Source, "crud.ts")), Schemas: module(name, w.schemas(d)), Tables: module(name, path.Join(w.in.layout.Database, "schema.ts")), Routes: module(name, routes),
	}
	return name, w.addModule(ctx, hono, name, d.source, func() ([]byte, error) { return target.CRUD(ctx, operations, imports) })
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
func (w *output) postman(ctx context.Context, documents []made) error {
	models := make([]*ir.Model, len(documents))
	for i, d := range documents {
		models[i] = d.model
		stem := strings.ReplaceAll(d.stem, "/", ".") // the folder is flat
		err := w.addJSON(ctx, postman, place(w.in.layout.Collections, stem, "api", collectionSuffix), d.source,
			func() ([]byte, error) { return target.Postman(ctx, d.model, cmp.Or(d.stem, "api")) })
		if err != nil {
			return err
		}
	}
	for _, name := range w.in.layout.Environments {
		inferred := false
		file := path.Join(w.in.layout.Collections, name+environmentSuffix)
		err := w.addJSON(ctx, postman, file, source(documents), func() (body []byte, err error) {
			body, inferred, err = target.PostmanEnvironment(name, models)
			return body, err
		})
		if err != nil {
			return err
		}
		if inferred {
			w.note(spec.Problem{File: documents[0].source, Line: 1, Column: 1, Message: "no server is called " + name + ": the address in " + file + " is a guess, or empty"})
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
