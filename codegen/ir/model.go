package ir

import (
	"context"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// Model is everything that one OpenAPI document says.
type Model struct {
	File       string
	Document   Document
	Components []*Component  // a component stands behind those that it uses, but for cycles
	Operations []Operation   // in the order of the document
	Notes      spec.Problems // what was inferred or can't be checked
}

// Build makes the model of an OpenAPI 3.0 or 3.1 document. With any problem the model is nil, and so it is where the
// context ended.
func Build(ctx context.Context, file string, root *spec.Node) (*Model, spec.Problems) {
	b := newBuilder(ctx, file, root)
	if !b.version() {
		return nil, b.doc.Problems()
	}
	b.references(root)
	b.structured(root, openAPIStructure(), "the document")
	b.paths()
	b.components()
	b.operations()
	return b.build()
}

// BuildSchema makes the model of a JSON Schema, draft 4 to 2020-12. Its root is a component that is
// named after its title, or else by fallback; definitions that it refers to are further ones.
func BuildSchema(ctx context.Context, file, fallback string, root *spec.Node) (*Model, spec.Problems) {
	b := newBuilder(ctx, file, root)
	draft := root.Get("$schema").String()
	b.tuples = !strings.Contains(draft, "2020-12")
	b.old = b.tuples && !strings.Contains(draft, "2019-09") // nothing beside $ref counts
	b.references(root)
	name := Pascal(root.Get("title").String())
	if root.Get("title").String() == "" {
		name = Pascal(fallback)
	}
	b.component("#", name, root)
	return b.build()
}

func newBuilder(ctx context.Context, file string, root *spec.Node) *builder {
	return &builder{cancelled: ctx.Err, doc: spec.NewDocument(file, root), model: &Model{File: file}, byPointer: map[string]*Component{}, nodes: map[*Component]*spec.Node{}}
}

// build follows from the components that are known to those that they refer to.
func (b *builder) build() (*Model, spec.Problems) {
	for i := 0; i < len(b.found); i++ { // references find further components
		b.fill(b.found[i])
	}
	if b.over() {
		return nil, b.doc.Problems()
	}
	b.endless()
	if problems := b.doc.Problems(); len(problems) > 0 {
		return nil, problems
	}
	if b.unevaluated {
		b.evaluate()
	}
	b.flattenAll()
	b.repeated()
	if problems := b.doc.Problems(); len(problems) > 0 || b.over() {
		return nil, problems
	}
	if b.discriminated {
		b.discriminators()
	}
	b.written()
	if b.over() {
		return nil, b.doc.Problems()
	}
	b.unreadForms()
	b.name()
	b.model.Components = ordered(b.found)
	b.model.Notes = b.model.Notes.Sorted()
	return b.model, nil
}

type builder struct {
	doc       *spec.Document
	model     *Model
	old       bool // OpenAPI 3.0, and drafts of JSON Schema before 2019-09
	tuples    bool // items may be a list
	byPointer map[string]*Component
	found     []*Component
	nodes     map[*Component]*spec.Node

	parameters map[*spec.Node]*Parameter
	forms      map[*spec.Node]*Schema
	idents     names     // of operations
	parts      int       // of operations: parameters, answers and types of content
	loose      []*Schema // schemas outside of components

	schemasLeft   []Schema // there is memory for them
	unevaluated   bool     // a schema has unevaluatedProperties
	discriminated bool     // one has a discriminator

	cancelled func() error // tells that nobody waits for the model any more
	ended     bool         // it did
	steps     int
}

// over tells whether nobody waits for the model any more. What is read of it is of no use then, and not whole.
func (b *builder) over() bool {
	b.ended = b.ended || b.cancelled() != nil
	return b.ended
}

// pause asks that from time to time.
func (b *builder) pause() bool {
	const every = 64
	if b.steps++; b.steps%every == 0 {
		return b.over()
	}
	return b.ended
}

func (b *builder) version() bool {
	version := b.doc.Root.Get("openapi")
	text := version.String()
	if version.Is(spec.Number) { // openapi: 3.1
		text = version.Text
	}
	switch {
	case text == "3.0" || strings.HasPrefix(text, "3.0."):
		b.old = true
	case text == "3.1" || strings.HasPrefix(text, "3.1."):
	case b.doc.Root.Get("swagger") != nil:
		b.doc.Problem(b.doc.Root.Get("swagger"), "Swagger 2.0 is not supported: convert the file to OpenAPI 3")
	case version == nil:
		b.doc.Problem(b.doc.Root, "this is no OpenAPI document: it has no \"openapi\" with a version")
	default:
		b.doc.Problem(version, "this version of OpenAPI, %q, is not supported: 3.0 and 3.1 are", version.Text)
	}
	return len(b.doc.Problems()) == 0
}

// components collects what components.schemas names.
func (b *builder) components() {
	schemas := b.doc.Root.Get("components").Get("schemas")
	if !schemas.Is(spec.Object) {
		return // which is told, or there are none
	}
	for i := range schemas.Children {
		child := &schemas.Children[i]
		b.component("#/components/schemas/"+escape(child.Key), child.Key, child)
	}
}

func (b *builder) component(pointer, name string, node *spec.Node) *Component {
	c := &Component{Name: name, pointer: pointer}
	b.byPointer[pointer] = c
	b.found = append(b.found, c)
	b.nodes[c] = node
	return c
}

func (b *builder) fill(c *Component) {
	if c.Schema == nil {
		c.Schema = b.schema(b.nodes[c], 0)
	}
}

// refer finds or makes the component that a reference names.
func (b *builder) refer(n *spec.Node) *Component {
	ref := n.Text
	if n.Key == "$recursiveRef" {
		ref = b.doc.Recursive(n)
	}
	if c, ok := b.byPointer[ref]; ok {
		return c
	}
	if anchor, named := strings.CutPrefix(ref, "#"); named && anchor != "" && anchor[0] != '/' {
		if pointer, why := b.doc.Anchor(anchor); why == "" {
			ref = pointer
		}
	}
	tokens := spec.Tokens(ref)
	pointer := "#"
	for _, token := range tokens {
		pointer += "/" + escape(token)
	}
	if c, ok := b.byPointer[pointer]; ok {
		b.byPointer[ref] = c
		return c
	}
	target, why := b.doc.Resolve(ref)
	if why != "" {
		b.doc.Problem(n, "%s", why)
		return nil
	}
	name := "Document"
	if len(tokens) > 0 {
		name = strings.Join(tokens[max(0, len(tokens)-2):], "_")
		if slices.Contains([]string{"schemas", "definitions", "$defs"}, tokens[max(0, len(tokens)-2)]) || len(tokens) == 3 && tokens[0] == "components" {
			name = tokens[len(tokens)-1]
		}
	}
	if len(tokens) == 3 && tokens[0] == "components" && tokens[1] != "schemas" {
		b.note(n, "components.%s is no place of OpenAPI for schemas; what is referred to there is read all the same", tokens[1])
	}
	return b.component(pointer, name, target)
}

func (b *builder) note(n *spec.Node, format string, args ...any) {
	b.model.Notes = append(b.model.Notes, b.doc.At(n, format, args...))
}

func escape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}
