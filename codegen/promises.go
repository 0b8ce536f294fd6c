package codegen

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/flaresmith/flaresmith/codegen/drift"
	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
	"github.com/flaresmith/flaresmith/codegen/target"
)

// maxPromises bounds the names and facts of all promises. Those of operations list what they share again: a parameter with ten thousand
// values has as many promises with each.
const maxPromises = 64 << 20

// promise notes what other people may rely on of a contract: its operations with their parameters, and the fields of
// its schemas.
func (f *Files) promise(ctx context.Context, m *ir.Model) {
	f.promises.Kind(drift.LimitPromise)
	uses := usedIn{map[*ir.Component]string{}, map[*ir.Schema]bool{}, drift.InRequests}
	for i := range m.Operations {
		if f.promisedBytes > maxPromises || ctx.Err() != nil {
			return
		}
		o := &m.Operations[i]
		f.promised(drift.OperationPromise, o.Method+" "+o.Path, o.ID)
		f.promiseParameters(o)
		for _, s := range sent(o) {
			uses.schema(s)
		}
	}
	uses = usedIn{uses.components, map[*ir.Schema]bool{}, drift.InResponses}
	for i := range m.Operations {
		if ctx.Err() != nil {
			return
		}
		for _, s := range answered(&m.Operations[i]) {
			uses.schema(s)
		}
	}
	for _, c := range m.Components {
		if f.promisedBytes > maxPromises || ctx.Err() != nil {
			return
		}
		f.promised(drift.SchemaPromise, c.Name, uses.components[c])
		w := promisedFields{f, uses.components[c]}
		w.choices(c.Name, c.Schema)
		w.fields(c.Name, c.Schema)
	}
}

// sent lists the schemas of what an operation takes.
func sent(o *ir.Operation) []*ir.Schema {
	var list []*ir.Schema
	for i := range o.Parameters {
		list = append(list, o.Parameters[i].Schema)
	}
	for _, media := range o.Bodies {
		list = append(list, media.Schema)
	}
	return list
}

// answered lists the schemas of what an operation gives.
func answered(o *ir.Operation) []*ir.Schema {
	var list []*ir.Schema
	for _, r := range o.Responses {
		for _, media := range r.Media {
			list = append(list, media.Schema)
		}
	}
	return list
}

// usedIn notes of components that they are part of requests, or of responses.
type usedIn struct {
	components map[*ir.Component]string
	seen       map[*ir.Schema]bool // that operations may share
	direction  string
}

// schema notes the components of a schema, and those that they use.
func (u usedIn) schema(s *ir.Schema) {
	if s == nil || u.seen[s] {
		return
	}
	u.seen[s] = true
	for _, c := range ir.Uses(s) {
		if slices.Contains(strings.Fields(u.components[c]), u.direction) {
			continue
		}
		u.components[c] = strings.TrimSpace(u.components[c] + " " + u.direction) // requests are asked first, so that the order lasts
		u.schema(c.Schema)
	}
}

func (f *Files) promiseParameters(o *ir.Operation) {
	name := o.Method + " " + o.Path
	for i := range o.Parameters {
		p := &o.Parameters[i]
		if p.In == "path" {
			continue // the path says so
		}
		f.promised(drift.ParameterPromise, name+" "+p.In+" "+p.Name, fact(p.Schema, p.Required))
		promisedFields{Files: f, uses: drift.InRequests}.choices(name+" "+p.In+" "+p.Name, p.Schema)
	}
	if len(o.Bodies) > 0 {
		f.promised(drift.ParameterPromise, name+" body", fact(&ir.Schema{}, o.BodyRequired))
	}
}

// promisedFields notes the fields of a component. Of what no operation uses, only what is always there is noted.
type promisedFields struct {
	*Files
	uses string
}

// maxOwner is how long the name of an object may be whose members are noted: very many may stand in one with a long name.
const maxOwner = 2000

// fields notes the members of an object, and what is within them as far as it has no name of its own.
func (f promisedFields) fields(owner string, s *ir.Schema) {
	if s.Ref != nil || len(owner) > maxOwner {
		return
	}
	for _, p := range s.Properties {
		if f.promisedBytes > maxPromises {
			return
		}
		f.field(owner+"."+p.Name, p.Schema, p.Required)
	}
	if s.Items != nil && f.uses != "" {
		f.field(owner+drift.ItemsOf, s.Items, false)
	}
	for _, branch := range s.All {
		f.fields(owner, branch)
	}
}

func (f promisedFields) field(name string, s *ir.Schema, required bool) {
	if !required && f.uses == "" {
		return
	}
	f.promised(drift.FieldPromise, name, fact(s, required))
	f.choices(name, s)
	if f.uses != "" {
		f.fields(name, s)
	}
}

// choices notes which values clients have to choose from, and the limits of those that are not listed.
func (f promisedFields) choices(owner string, s *ir.Schema) {
	if s.Ref != nil {
		return
	}
	for _, value := range s.Enum {
		if f.promisedBytes > maxPromises {
			return
		}
		if f.uses != drift.InResponses && value.Kind != spec.Array && value.Kind != spec.Object {
			f.promised(drift.ValuePromise, owner+": "+value.Text, "")
		}
	}
	f.limits(owner, s)
}

func (f promisedFields) limits(owner string, s *ir.Schema) {
	unique, additional := "", ""
	if s.Unique {
		unique = "true"
	}
	if s.Closed() {
		additional = "false"
	}
	for _, l := range [...]struct{ keyword, limit string }{
		{"minLength", s.MinLength}, {"maxLength", s.MaxLength}, {"pattern", s.Pattern.Source}, {"multipleOf", s.MultipleOf},
		{"minimum", innerBound(s.Minimum, s.ExclusiveMinimum, drift.MoreThan)},
		{"maximum", innerBound(s.Maximum, s.ExclusiveMaximum, drift.LessThan)},
		{"minItems", s.MinItems}, {"maxItems", s.MaxItems}, {"uniqueItems", unique},
		{"minProperties", s.MinProperties}, {"maxProperties", s.MaxProperties}, {"additionalProperties", additional},
	} {
		if l.limit != "" && (l.limit != "0" || l.keyword == "minimum" || !strings.HasPrefix(l.keyword, "min")) {
			f.promised(drift.LimitPromise, owner+" "+l.keyword, l.limit)
		}
	}
	for _, branch := range s.All {
		if branch.Ref == nil {
			f.limits(owner, branch)
		}
	}
}

// innerBound writes a bound. One that is excluded lies within the other, where both are given.
func innerBound(including, excluding, word string) string {
	if excluding != "" {
		return word + excluding
	}
	return including
}

// fact writes which values a field takes, and whether it has to be there.
func fact(s *ir.Schema, required bool) string {
	target, types := s.Deref(), s.Accepts()
	var kinds []string
	for _, kind := range []struct {
		types ir.Types
		name  string
	}{{ir.Boolean, "boolean"}, {ir.Object, "object"}, {ir.Array, "array"}, {ir.String, text(target)}, {ir.Number, "number"}, {ir.Integer, "integer"}, {ir.Null, "null"}} {
		if types.Has(kind.types) && (kind.types != ir.Integer || !types.Has(ir.Number)) {
			kinds = append(kinds, kind.name)
		}
	}
	if len(kinds) == 6 {
		kinds = []string{drift.AnyType}
	}
	list := strings.Join(kinds, "|")
	if required {
		list += drift.RequiredFact
	}
	return list
}

// text is the kind of text that a schema takes.
func text(s *ir.Schema) string {
	switch {
	case s.Enum != nil:
		return "string:enum"
	case target.ChecksFormat(s.Format):
		return "string:" + s.Format
	}
	return "string"
}

// oneOf is a check that a column has one of some values.
var (
	oneOf = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?i)\(*"?([a-z_][a-z0-9_]*)"?(?:::text)?\s+IN\s*\(((?:\s*'(?:[^']|'')*'\s*,?)+)\)\)*$`)
	})
	values   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`( IN \(|<@ ARRAY\[)'[^\])]*([\])])`) })
	sqlTexts = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`'(?:[^']|'')*'`) })
)

// promiseTables notes the tables, with their keys, and their columns.
func (f *Files) promiseTables(d *ir.Database) {
	f.promises.Kind(drift.CheckPromise)
	for _, e := range d.Enums {
		for _, value := range e.Values {
			f.promised(drift.EnumPromise, e.Name+": "+value, "")
		}
	}
	for _, t := range d.Tables {
		key := t.PrimaryKey
		for _, c := range t.Columns {
			f.promised(drift.ColumnPromise, t.Name+"."+c.Name, columnFact(c))
			if c.Primary {
				key = []*ir.Column{c}
			}
			if c.Unique != "" {
				f.promised(drift.UniquePromise, t.Name+" ("+c.Name+")", "")
			}
			for _, value := range c.Values {
				f.promised(drift.EnumPromise, t.Name+"."+c.Name+": "+value, "")
			}
		}
		f.promised(drift.TablePromise, t.Name, keyFact(key))
		for _, check := range t.Checks {
			f.promised(drift.CheckPromise, t.Name+" "+check.Name, values().ReplaceAllString(check.Expression, "$1…$2"))
			if m := oneOf().FindStringSubmatch(check.Expression); m != nil {
				for _, literal := range sqlTexts().FindAllString(m[2], -1) {
					f.promised(drift.EnumPromise, t.Name+"."+m[1]+": "+strings.ReplaceAll(literal[1:len(literal)-1], "''", "'"), "")
				}
			}
		}
		for _, i := range t.Indexes {
			if i.Unique {
				f.promised(drift.UniquePromise, t.Name+" "+uniqueFact(i), "")
			}
		}
	}
}

func keyFact(key []*ir.Column) string {
	if len(key) == 0 {
		return "no primary key"
	}
	names := make([]string, len(key))
	for i, c := range key {
		names[i] = c.Name
	}
	return "primary key (" + strings.Join(names, ", ") + ")"
}

func uniqueFact(i ir.TableIndex) string {
	names := make([]string, len(i.Columns))
	for n, part := range i.Columns {
		if names[n] = part.Expression; part.Column != nil {
			names[n] = part.Column.Name
		}
	}
	list := "(" + strings.Join(names, ", ") + ")"
	if i.Where != "" {
		list += " where " + i.Where
	}
	return list
}

func columnFact(c *ir.Column) string {
	name := c.Type.Name
	switch {
	case c.Enum != nil:
		name = c.Enum.Name
	case c.Type.Precision != "":
		name += "(" + c.Type.Precision + ")"
	case c.Type.Length != "":
		name += "(" + c.Type.Length + ")"
	}
	if c.Type.Array {
		name += "[]"
	}
	if c.NotNull {
		name += drift.NotNullFact
	}
	if c.Default != "" || c.Identity {
		name += drift.DefaultFact
	}
	return name
}

// promised notes a promise. Where two contracts give the same, the first one counts.
func (f *Files) promised(kind, name, fact string) {
	f.promisedBytes += len(name) + len(fact)
	names := f.promises.Kind(kind)
	if _, known := names[name]; !known {
		names[name] = fact
	}
}

// keepPromises puts the promises of this run into a manifest, and those of the last run where this one
// did not look.
func (f *Files) keepPromises(last drift.Manifest, next *drift.Manifest) {
	next.Promises = maps.Clone(f.promises)
	if !slices.Contains(f.targets, drizzle) {
		for _, kind := range []string{drift.TablePromise, drift.ColumnPromise, drift.UniquePromise, drift.CheckPromise, drift.EnumPromise} {
			if names := last.Promises[kind]; names != nil {
				next.Promises[kind] = names
			}
		}
	}
}
