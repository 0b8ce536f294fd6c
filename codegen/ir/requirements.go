package ir

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

var requirementID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b(?:FR|SC)-(?:[A-Z]+-)?\d+\b`) })

// Link notes at each operation the requirements that name it, by method and path or by its id in
// backticks, and those that its own text names. Nothing is guessed from similar words.
func (m *Model) Link(ctx context.Context, requirements []spec.Requirement) {
	for i := range m.Operations {
		if ctx.Err() != nil { // nobody waits for the model any more
			return
		}
		o := &m.Operations[i]
		var ids []string
		if text := o.Summary + "\n" + o.Description; strings.Contains(text, "FR-") || strings.Contains(text, "SC-") { // most have none, which is found ten times faster
			ids = requirementID().FindAllString(text, -1)
		}
		for _, r := range requirements {
			if named(r.Text, o.Method+" "+o.Path) || strings.Contains(r.Text, "`"+o.ID+"`") {
				ids = append(ids, r.ID)
			}
		}
		slices.Sort(ids)
		o.Requirements = slices.Compact(ids)
	}
}

// named tells whether a text has these words, and not only as the beginning of a longer path.
func named(text, words string) bool {
	for {
		_, rest, found := strings.Cut(text, words)
		if !found {
			return false
		}
		if rest == "" || !strings.ContainsAny(rest[:1], "/{-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") {
			return true
		}
		text = rest
	}
}

// LinkFeature notes at the tables of a feature the requirements that name them, in backticks or as a name
// of several words in Pascal case, and the description that its spec.md gives them. A key entity
// that has no table is noted.
func (d *Database) LinkFeature(specFile, modelFile string, requirements []spec.Requirement, entities []spec.KeyEntity) {
	for _, t := range d.Tables {
		if !t.describedIn(modelFile) {
			continue
		}
		ids := append(t.Requirements, requirementID().FindAllString(t.Doc, -1)...)
		for _, r := range requirements {
			if t.namedBy(r.Text) {
				ids = append(ids, r.ID)
			}
		}
		slices.Sort(ids)
		t.Requirements = slices.Compact(ids)
	}
	for _, e := range entities {
		found := false
		for _, t := range d.Tables {
			if spec.Key(t.Row) == spec.Key(e.Name) || spec.Key(t.Name) == spec.Key(e.Name) {
				found = true
				if t.Doc == "" && t.describedIn(modelFile) {
					t.Doc = e.Doc
				}
			}
		}
		if !found {
			d.Notes = append(d.Notes, at(specFile, e.Place, "the key entity %s has no table in a data model", e.Name))
		}
	}
}

func (t *TableModel) describedIn(file string) bool {
	return slices.ContainsFunc(t.merged.parts, func(p part) bool { return p.file == file })
}

// namedBy tells whether a text has one of the names of a table.
func (t *TableModel) namedBy(text string) bool {
	for _, p := range t.merged.parts {
		if strings.Contains(text, "`"+p.Name+"`") || strings.Contains(text, "`"+t.Name+"`") {
			return true
		}
		if humps := strings.Count(Snake(p.Name), "_"); !p.IsTable && humps > 0 && slices.Contains(words(text), p.Name) {
			return true
		}
	}
	return false
}

// words splits a text at everything that is no part of a name.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
