package drift

import (
	"maps"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// BreakingChange is a promise that the specs kept when files were generated last, and no longer do, or something new
// that is asked of data and clients that are there.
type BreakingChange struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Note string `json:"note"` // how to get there without harm
}

// Breaking compares the promises of two manifests, and notes what harms only who is not prepared for it. Of what is
// gone, its parts are not listed again, and of what an older manifest does not tell, nothing is said.
func Breaking(old, next Manifest) ([]BreakingChange, []spec.Problem) {
	c := &comparison{old: old.Promises, next: next.Promises, changes: []BreakingChange{}}
	c.tables()
	c.columns()
	c.uniques()
	c.checks()
	c.enums()
	c.fields()
	c.parameters()
	c.limits()
	c.values()
	c.operations()
	return c.changes, c.notes
}

// comparison collects the changes, those of a kind by name.
type comparison struct {
	old, next Promises
	changes   []BreakingChange
	notes     []spec.Problem
}

func (c *comparison) add(kind, name, note string) {
	c.changes = append(c.changes, BreakingChange{kind, name, note})
}

// removed, added and kept are the names of one kind, sorted.
func (c *comparison) removed(kind string) []string { return without(c.old[kind], c.next[kind]) }
func (c *comparison) added(kind string) []string   { return without(c.next[kind], c.old[kind]) }

func (c *comparison) kept(kind string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(c.old[kind])), func(name string) bool { return !c.next.has(kind, name) })
}

func without(a, b map[string]string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(a)), func(name string) bool { _, there := b[name]; return there })
}

func (p Promises) has(kind, name string) bool {
	_, there := p[kind][name]
	return there
}

// covers tells whether every value of one list of types is one of another, too.
func covers(types, other string) bool {
	if other == "" {
		return true
	}
	have := strings.Split(types, "|")
	for one := range strings.SplitSeq(other, "|") {
		general, _, _ := strings.Cut(one, ":")
		if !slices.ContainsFunc(have, func(h string) bool {
			return h == AnyType || h == one || h == general || h == "number" && one == "integer"
		}) {
			return false
		}
	}
	return true
}

// quoteName writes a name as SQL does.
func quoteName(name string) string {
	for i := range len(name) {
		if c := name[i]; c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9' || i == 0) {
			return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		}
	}
	return name
}
