package codegen

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Layout says where generated files go, below the folder that they are written to. The zero value is the
// layout of a Worker with Hono; everything of a single document goes to the folder itself.
type Layout struct {
	Source       string   // app.ts, http.ts, and the entry index.ts; "src"
	Schemas      string   // Zod schemas; "src/schemas"
	Routes       string   // Hono routes; "src/routes"
	Handlers     string   // what people answer them with; "src/handlers"
	Database     string   // schema.ts with the tables; "src/db"
	MCP          string   // tool descriptors; "mcp"
	Collections  string   // Postman's collections and environments; "postman"
	Environments []string // Postman environments; dev, staging and prod
}

var environmentName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`) })

// complete fills what is empty. A single document's files need no folders to tell them apart.
func (l Layout) complete(single bool) (Layout, error) {
	folder := func(given, usual string) string {
		if given == "" && !single {
			given = usual
		}
		return path.Clean(given)
	}
	l.Source = folder(l.Source, "src")
	l.Schemas = folder(l.Schemas, "src/schemas")
	l.Routes = folder(l.Routes, "src/routes")
	l.Handlers = folder(l.Handlers, "src/handlers")
	l.Database = folder(l.Database, "src/db")
	l.MCP = folder(l.MCP, "mcp")
	l.Collections = folder(l.Collections, "postman")
	if len(l.Environments) == 0 {
		l.Environments = []string{"dev", "staging", "prod"}
	}
	for _, name := range []string{l.Source, l.Schemas, l.Routes, l.Handlers, l.Database, l.MCP, l.Collections} {
		if !filepath.IsLocal(name) || strings.Contains(name, `\`) || name == specsFolder || strings.HasPrefix(name, specsFolder+"/") {
			return Layout{}, fmt.Errorf("generated files can't go to the folder %q", name)
		}
	}
	for i, name := range l.Environments {
		if !environmentName().MatchString(name) || slices.Contains(l.Environments[:i], name) {
			return Layout{}, fmt.Errorf("the environment %q has no good name, or is there twice", name)
		}
	}
	return l, nil
}

// place is the path of a file that is named after a document; a single document's has a name of its own.
func place(folder, stem, single, suffix string) string {
	return path.Join(folder, cmp.Or(stem, single)+suffix)
}

// module is how one TypeScript file imports another.
func module(from, to string) string {
	relative, err := filepath.Rel(path.Dir(from), strings.TrimSuffix(to, ".ts"))
	if err != nil {
		relative = to // both are local, and so is the way between them
	}
	relative = filepath.ToSlash(relative)
	if !strings.HasPrefix(relative, ".") {
		relative = "./" + relative
	}
	return relative
}
