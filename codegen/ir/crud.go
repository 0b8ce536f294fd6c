package ir

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// CRUDKind is what an operation does to the rows of a table.
type CRUDKind string

// What plain operations do.
const (
	ListRows  CRUDKind = "list"
	ReadRow   CRUDKind = "read"
	CreateRow CRUDKind = "create"
	ChangeRow CRUDKind = "change" // PATCH: what is not given stays
	PutRow    CRUDKind = "put"    // PUT: what is not given is emptied
	DeleteRow CRUDKind = "delete"
)

// CRUD is an operation that does nothing but what its table can do by itself.
type CRUD struct {
	*Operation
	Kind    CRUDKind
	Table   *TableModel
	Within  []CRUDPart // path parameters that choose the rows, before the key's
	Key     *CRUDPart  // nil of list and create
	Status  int        // of success
	Range   bool       // the contract has it for all of 2XX
	Row     []CRUDPart // members of the answer's row; nil where nothing is answered
	Answer  RowType
	Values  []CRUDPart // members of the body that are written
	List    *CRUDList  // of list
	Missing *CRUDError // 404, 409 and 400 or 422, where the contract has a body for them
	Clash   *CRUDError
	Invalid *CRUDError
}

// RowType is where the contract's type of a row stands: in a component, below members of it.
type RowType struct {
	Component *Component
	Members   []string // the last one is a list
	List      bool     // the component, or its last member, is a list of rows
	Part      bool     // members that only requests have are required there: a row has not all of the type
}

// CRUDPart is a value of the contract and the column that holds it.
type CRUDPart struct {
	Name     string // of the parameter or the member
	Column   *Column
	Number   bool // of a numeric column, which Drizzle gives as text
	Optional bool // the contract lets it be absent
	Nullable bool
	Many     bool // of a filter: any of several values
}

// CRUDs finds the operations of a model that are plain CRUD. What they are taken for is noted each; so is why
// an operation on a table's path is not.
func CRUDs(ctx context.Context, m *Model, d *Database) ([]CRUD, spec.Problems) {
	f := &crudFinder{db: d, file: m.File}
	for i := range m.Operations {
		if ctx.Err() != nil { // nobody waits for them any more
			break
		}
		f.operation(&m.Operations[i])
	}
	return f.all, f.notes
}

type crudFinder struct {
	db    *Database
	file  string
	all   []CRUD
	notes spec.Problems
}

func (f *crudFinder) note(o *Operation, format string, args ...any) {
	p := o.place
	p.Message = fmt.Sprintf(format, args...)
	f.notes = append(f.notes, p)
}

// because is why an operation is no plain CRUD.
type because string

func (b because) Error() string { return string(b) }

func refuse(format string, args ...any) error { return because(fmt.Sprintf(format, args...)) }

func (f *crudFinder) operation(o *Operation) {
	c, ok := f.shape(o)
	if !ok {
		return
	}
	var facts []string
	for _, step := range []func(*CRUD, *[]string) error{f.path, f.inputs, f.answer, f.body, f.errors} {
		if err := step(c, &facts); err != nil {
			f.note(o, "%s %s gets no generated handler: %s", o.Method, o.Path, err)
			return
		}
	}
	f.all = append(f.all, *c)
	text := fmt.Sprintf("inferred: %s %s is plain CRUD of %s: %s", o.Method, o.Path, c.Table.Name, c.Kind)
	if len(facts) > 0 {
		text += "; " + strings.Join(facts, "; ")
	}
	f.note(o, "%s", text)
}

// versionSegment is what paths may begin with, before they name things.
var versionSegment = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:api|v\d+)$`) })

// shape tells what an operation would do by its method and path: the path ends with a table's name, or with that
// and a parameter.
func (f *crudFinder) shape(o *Operation) (*CRUD, bool) {
	segments := o.Segments()
	if o.Mixed() || len(segments) == 0 {
		return nil, false
	}
	item := segments[len(segments)-1].Param != ""
	if item {
		segments = segments[:len(segments)-1]
	}
	if len(segments) == 0 {
		return nil, false
	}
	last := segments[len(segments)-1]
	t := f.table(last)
	kinds := map[string]CRUDKind{"GET": ListRows, "POST": CreateRow}
	if item {
		kinds = map[string]CRUDKind{"GET": ReadRow, "PATCH": ChangeRow, "PUT": PutRow, "DELETE": DeleteRow}
	}
	kind, ok := kinds[o.Method]
	return &CRUD{Operation: o, Kind: kind, Table: t}, ok && t != nil
}

// table finds the table that a segment names.
func (f *crudFinder) table(s Segment) *TableModel {
	if s.Param != "" || s.Mixed {
		return nil
	}
	name := strings.ReplaceAll(Snake(s.Text), "-", "_")
	for _, t := range f.db.Tables {
		if t.Name == name || Plural(Snake(t.Row)) == name {
			return t
		}
	}
	return nil
}

// path gives every parameter of the path its column: the last one is the row's key, those before it refer to
// the rows that own it.
func (f *crudFinder) path(c *CRUD, facts *[]string) error {
	t := c.Table
	if c := t.column("deletedAt"); c != nil {
		return refuse("%s.%s says that rows are deleted in a way of their own", t.Name, c.Name)
	}
	segments := c.Segments()
	if last := segments[len(segments)-1]; last.Param != "" {
		column := keyColumn(t, last.Param)
		if column == nil {
			return refuse("no key of %s is called %s", t.Name, last.Param)
		}
		part, err := f.parameterPart(c.parameter("path", last.Param), column)
		if err != nil {
			return err
		}
		c.Key = &part
		segments = segments[:len(segments)-1]
	}
	segments = segments[:len(segments)-1]
	for len(segments) > 0 && versionSegment().MatchString(segments[0].Text) {
		segments = segments[1:]
	}
	for len(segments) > 0 {
		if len(segments) == 1 || segments[0].Param != "" || segments[1].Param == "" {
			return refuse("the path says more than which rows are meant")
		}
		owner := f.table(segments[0])
		if owner == nil {
			return refuse("%s is no table", segments[0].Text)
		}
		column := f.owning(t, owner, segments[1].Param)
		if column == nil {
			return refuse("no column of %s, or several, refer to the %s of the path", t.Name, segments[1].Param)
		}
		part, err := f.parameterPart(c.parameter("path", segments[1].Param), column)
		if err != nil {
			return err
		}
		c.Within = append(c.Within, part)
		*facts = append(*facts, fmt.Sprintf("{%s} is %s", segments[1].Param, column.Name))
		segments = segments[2:]
	}
	return nil
}

// keyColumn is the column that tells a row apart under a parameter's name: id, orderId of orders, or a unique one.
func keyColumn(t *TableModel, param string) *Column {
	for _, c := range t.Columns {
		if c.Primary && (spec.Key(param) == spec.Key(c.Name) || spec.Key(param) == spec.Key(Singular(t.Name)+"_"+c.Name)) {
			return c
		}
		if c.Unique != "" && c.NotNull && spec.Key(param) == spec.Key(c.Name) {
			return c
		}
	}
	return nil
}

// owning is the one column of a table that refers to the key that a parameter is of its owner.
func (f *crudFinder) owning(t, owner *TableModel, param string) *Column {
	key := keyColumn(owner, param)
	var found *Column
	for _, c := range t.Columns {
		if r := c.References; r != nil && r.Table == owner && r.Column == key {
			if found != nil {
				return nil
			}
			found = c
		}
	}
	return found
}

func (o *Operation) parameter(in, name string) *Parameter {
	for i := range o.Parameters {
		if p := &o.Parameters[i]; p.In == in && p.Name == name {
			return p
		}
	}
	return nil
}

func (f *crudFinder) parameterPart(p *Parameter, c *Column) (CRUDPart, error) {
	if p == nil {
		return CRUDPart{}, refuse("a parameter of the path is not described")
	}
	part, why := partOf(p.Name, p.Schema, c, intoTable)
	if why != "" {
		return part, refuse("the parameter %s is no %s: %s", p.Name, c.Name, why)
	}
	if temporal(c) || c.Type.Array || c.Type.Name == "json" || c.Type.Name == "jsonb" {
		return part, refuse("the parameter %s can't be compared with %s", p.Name, c.Name)
	}
	part.Nullable = false
	part.Optional = !p.Required && p.Schema.Meta.Default == nil
	return part, nil
}

// harmless are headers that a handler need not know.
var harmless = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:accept|accept-language|content-type|authorization|user-agent|x-api-key|traceparent|.*(?:trace|request|correlation)-?id)$`)
})

// inputs gives the other parameters their meaning; one without a meaning might be a filter that is ignored.
func (f *crudFinder) inputs(c *CRUD, facts *[]string) error {
	if c.Kind == ListRows {
		c.List = &CRUDList{}
	}
	for i := range c.Parameters {
		p := &c.Parameters[i]
		switch {
		case p.In == "path":
		case p.In == "header" && harmless().MatchString(p.Name):
		case p.In == "query" && c.List != nil:
			if err := f.query(c, p, facts); err != nil {
				return err
			}
		default:
			return refuse("the %s parameter %s has a meaning of its own", p.In, p.Name)
		}
	}
	return nil
}

// success is the first answer with a status of 2xx.
func (o *Operation) success() *Response {
	at := slices.IndexFunc(o.Responses, func(r Response) bool { return strings.HasPrefix(r.Status, "2") })
	if at < 0 {
		return nil
	}
	return &o.Responses[at]
}

// answer decides what is answered: a row, rows, or nothing.
func (f *crudFinder) answer(c *CRUD, facts *[]string) error {
	r := c.success()
	if r == nil {
		return refuse("no status of success is said")
	}
	allowed := map[CRUDKind][]int{ListRows: {200}, ReadRow: {200}, CreateRow: {201, 200}, ChangeRow: {200, 204}, PutRow: {200, 204}, DeleteRow: {204, 200}}[c.Kind]
	for _, status := range allowed {
		if c.Status == 0 && (r.Status == fmt.Sprint(status) || strings.EqualFold(r.Status, "2xx")) {
			c.Status = status
		}
	}
	if c.Status == 0 {
		return refuse("the status %s means something else", r.Status)
	}
	c.Range = isRange(r.Status)
	at := slices.IndexFunc(r.Media, Media.JSON)
	switch {
	case len(r.Media) == 0 && (c.Kind == ListRows || c.Kind == ReadRow):
		return refuse("it answers nothing")
	case len(r.Media) == 0:
		return nil
	case at < 0 || len(r.Media) > 1 || r.Media[at].Schema == nil:
		return refuse("it answers with something else than just JSON")
	case c.Status == 204:
		return refuse("204 has no body")
	}
	schema := r.Media[at].Schema
	if c.Kind == ListRows {
		return f.envelope(c, schema, facts)
	}
	var err error
	c.Row, err = f.row(c.Table, schema, facts)
	c.Answer = rowType(schema, schema)
	return err
}

// row gives each member of an answer its column.
func (f *crudFinder) row(t *TableModel, s *Schema, facts *[]string) ([]CRUDPart, error) {
	if name := componentName(s); name != "" {
		for _, other := range f.db.Tables {
			if other != t && spec.Key(other.Row) == spec.Key(name) {
				return nil, refuse("the answer is a %s, which is a row of %s", name, other.Name)
			}
		}
	}
	target, why := object(s)
	if why != "" {
		return nil, refuse("the answer's row is %s", why)
	}
	parts := []CRUDPart{}
	for _, p := range target.Properties {
		if p.Schema.Meta.WriteOnly || p.Schema.Deref().Meta.WriteOnly {
			continue
		}
		column := t.member(p.Name)
		part, reason := CRUDPart{}, "no column of "+t.Name+" holds it"
		if column != nil {
			part, reason = partOf(p.Name, p.Schema, column, outOfTable)
			if part.Optional = !p.Required; reason == "" && p.Required && !column.NotNull && !part.Nullable {
				reason = "the column may be empty"
			}
		}
		switch {
		case reason != "" && p.Required:
			return nil, refuse("the answer's %s: %s", p.Name, reason)
		case reason != "":
			*facts = append(*facts, fmt.Sprintf("the answer leaves out %s: %s", p.Name, reason))
		default:
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return nil, refuse("the answer has nothing of %s", t.Name)
	}
	return parts, nil
}

// rowType finds the type of a row, which is at the top or within.
func rowType(top, row *Schema, members ...string) RowType {
	t := RowType{Component: top.Ref, Members: members, List: top != row}
	if row.Ref != nil {
		t = RowType{Component: row.Ref}
	}
	for _, p := range row.Deref().Properties {
		t.Part = t.Part || p.Required && (p.Schema.Meta.WriteOnly || p.Schema.Deref().Meta.WriteOnly)
	}
	return t
}

// componentName is the name of the schema in the document, of one with a name of its own.
func componentName(s *Schema) string {
	if s.Ref == nil || s.Ref.Operation {
		return ""
	}
	return s.Ref.Name
}

// object follows to a schema that is nothing but an object with members.
func object(s *Schema) (*Schema, string) {
	target := s.Deref()
	switch {
	case s.TakesNull():
		return nil, "null, maybe"
	case target.combined() || target.Not != nil:
		return nil, "one of several things"
	case target.Types != Object && target.Types != 0 || len(target.Properties) == 0:
		return nil, "no object with members"
	}
	return target, ""
}

// member is the column of a member.
func (t *TableModel) member(name string) *Column {
	for _, c := range t.Columns {
		if c.Name == name || c.Ident == name || c.Name == Snake(name) {
			return c
		}
	}
	return nil
}

// body gives each member of a request's body its column, and sees that the table gets what it asks for.
func (f *crudFinder) body(c *CRUD, facts *[]string) error {
	switch c.Kind {
	case ListRows, ReadRow, DeleteRow:
		if len(c.Bodies) > 0 {
			return refuse("its request has a body")
		}
		return nil
	}
	if c.Body == nil || len(c.Bodies) != 1 {
		return refuse("its body is not just JSON")
	}
	if !c.BodyRequired {
		return refuse("its body may be absent")
	}
	target, why := object(c.Body)
	if why != "" {
		return refuse("its body is %s", why)
	}
	for _, p := range target.Properties {
		if p.Schema.Meta.ReadOnly || p.Schema.Deref().Meta.ReadOnly {
			continue
		}
		column := c.Table.member(p.Name)
		if column == nil {
			return refuse("the body's %s: no column of %s holds it", p.Name, c.Table.Name)
		}
		if column.Always || c.Kind != CreateRow && column.Primary || slices.ContainsFunc(c.Within, func(w CRUDPart) bool { return w.Column == column }) {
			*facts = append(*facts, "the body's "+p.Name+" is not written")
			continue
		}
		part, reason := partOf(p.Name, p.Schema, column, intoTable)
		if part.Optional = !p.Required; reason == "" && part.Nullable && column.NotNull {
			reason = "it may be null, and the column may not"
		}
		if reason != "" {
			return refuse("the body's %s: %s", p.Name, reason)
		}
		c.Values = append(c.Values, part)
	}
	if len(c.Values) == 0 {
		return refuse("its body has nothing to write")
	}
	return c.complete()
}

// complete tells whether a new row gets all that its table asks for.
func (c *CRUD) complete() error {
	for _, p := range c.Values {
		if c.Kind == PutRow && p.Optional && p.Column.NotNull && p.Column.Default == "" {
			return refuse("the body need not say %s, without which there is no row of %s", p.Name, c.Table.Name)
		}
	}
	if c.Kind != CreateRow {
		return nil
	}
	for _, column := range c.Table.Columns {
		given := slices.ContainsFunc(c.Within, func(p CRUDPart) bool { return p.Column == column }) ||
			slices.ContainsFunc(c.Values, func(p CRUDPart) bool { return p.Column == column && !p.Optional })
		if column.NotNull && column.Default == "" && !column.Identity && !column.OnUpdate && !given && !serial(column) {
			return refuse("the body need not say %s, without which there is no row of %s", column.Name, c.Table.Name)
		}
	}
	return nil
}

func serial(c *Column) bool { return strings.HasSuffix(c.Type.Name, "serial") }
