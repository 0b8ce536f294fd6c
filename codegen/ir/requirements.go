package ir

import (
	"regexp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

var requirementID = regexp.MustCompile(`\b(?:FR|SC)-(?:[A-Z]+-)?\d+\b`)

// Link notes at each operation the requirements that name it, by method and path or by its id in
// backticks, and those that its own text names. Nothing is guessed from similar words.
func (m *Model) Link(requirements []spec.Requirement) {
	for i := range m.Operations {
		o := &m.Operations[i]
		ids := requirementID.FindAllString(o.Summary+"\n"+o.Description, -1)
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
