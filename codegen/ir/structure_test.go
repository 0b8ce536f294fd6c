package ir_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// complete has every node of OpenAPI that something is made of.
const complete = `openapi: 3.1.0
info: { title: Shop, version: 1 }
servers: [{ url: "https://{region}.example.com", variables: { region: { default: eu } } }]
tags: [{ name: items }]
security: [{ key: [] }]
x-order: 1
paths:
  x-note: []
  /items/{id}:
    summary: Items
    parameters: [{ $ref: "#/components/parameters/Id" }]
    get:
      operationId: getItem
      tags: [items]
      parameters: [{ name: deep, in: query, required: true, style: form, explode: true, content: { application/json: { schema: { type: object } } } }]
      responses: { "200": { $ref: "#/components/responses/Item" }, default: { description: Other, headers: { X-Rate: { schema: { type: integer } } } } }
    put:
      security: []
      servers: []
      deprecated: true
      requestBody: { $ref: "#/components/requestBodies/Item" }
      responses: { "204": { description: Done } }
      callbacks: { changed: { "{$request.body#/url}": { post: { responses: { "200": { description: Seen } } } } } }
  /more: { $ref: "#/components/pathItems/More" }
webhooks: { gone: { post: { requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/Item" } } } } } } }
components:
  parameters: { Id: { name: id, in: path, required: true, schema: { type: string } } }
  requestBodies: { Item: { required: true, content: { application/json: { schema: { $ref: "#/components/schemas/Item" }, examples: { one: { value: {} } } } } } }
  responses: { Item: { description: An item, content: { application/json: { schema: { $ref: "#/components/schemas/Item" } } } } }
  pathItems: { More: { get: { operationId: more, responses: { "200": { description: More } } } } }
  securitySchemes: { key: { type: http, scheme: bearer } }
  schemas:
    Item:
      type: object
      required: [id]
      properties: { id: { type: string, pattern: "^a", minLength: 1, readOnly: true }, tags: { type: array, items: { type: string }, uniqueItems: true, minItems: 0 }, size: { type: [number, "null"], minimum: 0 } }
      patternProperties: { "^x": { type: string } }
      additionalProperties: { type: string }
    Either: { oneOf: [{ $ref: "#/components/schemas/Item" }, { $ref: "#/components/schemas/Kind" }], discriminator: { propertyName: kind } }
    Kind: { type: string, enum: [a, b] }
`

// said is what of a model must never get lost by damage: operations with what they ask for, and schemas.
func said(m *ir.Model) []string {
	var all []string
	for _, o := range m.Operations {
		line := fmt.Sprintf("%s %s %s %t %t %d", o.ID, o.Method, o.Path, o.Security != nil, o.Body != nil, len(o.Responses))
		for _, p := range o.Parameters {
			line += " " + p.In + " " + p.Name
		}
		all = append(all, line)
	}
	for _, c := range m.Components {
		if !c.Operation {
			all = append(all, fmt.Sprintf("%s %d %d %d", c.Name, len(c.Schema.Properties), len(c.Schema.Patterns), len(c.Schema.One)))
		}
	}
	slices.Sort(all)
	return all
}

// TestDamagedNode puts values of other kinds in the place of every node of a document: nothing that would be
// generated gets lost without an error that tells the place.
func TestDamagedNode(t *testing.T) {
	t.Parallel()
	root, problems := spec.Parse("a.yaml", []byte(complete))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	model, problems := ir.Build(t.Context(), "a.yaml", root)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := said(model)
	if len(want) != 3+3 {
		t.Fatalf("got %q", want)
	}
	damages := []spec.Node{{Kind: spec.Null, Text: "null"}, {Kind: spec.Bool, Text: "true"}, {Kind: spec.Number, Text: "1"}, {Kind: spec.String, Text: "x"}, {Kind: spec.Array}, {Kind: spec.Object}}
	tried := 0
	var walk func(n *spec.Node, path string)
	walk = func(n *spec.Node, path string) {
		for i := range n.Children {
			child := &n.Children[i]
			before, place := *child, path+"/"+child.Key
			for _, damage := range damages {
				if damage.Kind == before.Kind || damage.Kind == spec.Bool && strings.HasPrefix(place, "/components/schemas/") {
					continue // true is a schema
				}
				if empty := before.Key == "parameters" || path == "/components/requestBodies/Item/content"; empty && damage.Kind == spec.Null {
					continue // says that there are none
				}
				damage.Key, damage.Line, damage.Column = before.Key, before.Line, before.Column
				*child = damage
				damaged, problems := ir.Build(t.Context(), "a.yaml", root)
				tried++
				if len(problems) > 0 {
					if problems[0].Line < 1 || problems[0].Column < 1 {
						t.Errorf("%s is %s: no place: %v", place, damage.Kind, problems[0])
					}
					continue
				}
				if diff := cmp.Diff(want, said(damaged)); diff != "" {
					t.Errorf("%s is %s: nothing is said, but (-before +now)\n%s", place, damage.Kind, diff)
				}
			}
			*child = before
			walk(child, place)
		}
	}
	walk(root, "")
	if tried < 500 {
		t.Errorf("only %d damages were tried", tried)
	}
}

// TestStructure has documents that say nothing where they should say something: each place is told, all at once.
func TestStructure(t *testing.T) {
	t.Parallel()
	head := "openapi: 3.1.0\n"
	tests := []struct{ name, document, want string }{
		{"paths is a number", "paths: 1", "2:8: paths should be an object, not a number"},
		{"paths is a list", "paths: []", "2:8: paths should be an object, not a list"},
		{"paths is a text", `paths: "x"`, "2:8: paths should be an object, not a text"},
		{"paths is empty", "paths:", "2:7: paths should be an object, not null"},
		{"components", "components: 3", "2:13: components should be an object, not a number"},
		{"schemas", "components: { schemas: [] }", "2:24: schemas should be an object, not a list"},
		{"several", "paths: { /a: 1, /b: { get: [], parameters: 3 } }\ncomponents: { responses: x, schemas: { A: 1 } }\nsecurity: {}",
			"2:14: paths./a should be an object, not a number\n2:28: get should be an object, not a list\n2:44: parameters should be a list, not a number\n3:26: responses should be an object, not a text\n3:43: here should be a schema, not a number\n4:11: security should be a list, not an object"},
		{"a path", "paths: { items: { get: { responses: {} } } }", `2:17: the path "items" does not begin with a slash`},
		{"parameters", "paths: { /a: { get: { parameters: [{ in: query }, { name: x, in: body }, 1, { name: a }], responses: {} } } }",
			"2:36: an item of parameters has no name\n2:66: in is \"body\": a parameter is in path, query, header or cookie\n2:74: an item of parameters should be an object, not a number\n2:77: an item of parameters has no in"},
		{"content", "paths: { /a: { get: { requestBody: { content: [] }, responses: { 200: { content: { application/json: 1 } } } } } }",
			"2:47: content should be an object, not a list\n2:102: content.application/json should be an object, not a number"},
		{"a reference to something else", "paths: { /a: { get: { responses: { 200: { $ref: \"#/openapi\" } } } } }", `2:49: responses.200 should be an object, but "#/openapi" is a text`},
		{"a path's reference", "paths: { /a: { $ref: 1 } }", "2:22: $ref should be a text, not a number"},
		{"keywords", "components: { schemas: { A: { type: object, patternProperties: [], properties: { b: { pattern: 1, uniqueItems: x, readOnly: 1, format: {} } } } } }",
			"2:64: patternProperties should be an object, not a list\n2:96: pattern should be a text, not a number\n2:112: uniqueItems should be a boolean, not a text\n2:125: readOnly should be a boolean, not a number\n2:136: format should be a text, not an object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, problems := spec.Parse("a.yaml", []byte(head+tt.document+"\n"))
			if len(problems) == 0 {
				_, problems = ir.Build(t.Context(), "a.yaml", root)
			}
			got := strings.ReplaceAll(problems.Error(), "a.yaml:", "")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCallsToOthers says of webhooks and callbacks that nothing is made of them.
func TestCallsToOthers(t *testing.T) {
	t.Parallel()
	root, problems := spec.Parse("a.yaml", []byte(complete))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	model, problems := ir.Build(t.Context(), "a.yaml", root)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, note := range model.Notes {
		if strings.Contains(note.Message, "calls to somebody else") {
			got = append(got, note.String())
		}
	}
	want := []string{
		"a.yaml:23:18: the callbacks of PUT /items/{id} are not generated, as they are calls to somebody else",
		"a.yaml:25:11: webhooks are not generated, as they are calls to somebody else: only the schemas under components are",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
