package ir_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// TestSloppy has what people write who know OpenAPI by heart: what can be understood is noted, and what can't says
// what to write.
func TestSloppy(t *testing.T) {
	t.Parallel()
	operation := func(path, members string) string {
		return fmt.Sprintf("openapi: 3.0.3\npaths:\n  %s:\n    get: { operationId: read, %s responses: { \"200\": { description: x } } }\n", path, members)
	}
	schema := func(text string) string {
		return "openapi: 3.0.3\npaths: {}\ncomponents: { schemas: { A: " + text + " } }\n"
	}
	tests := []struct {
		name, document string
		note, problem  string
		parameters     string // of the first operation
	}{
		{name: "a version that is a number", document: "openapi: 3.1\npaths: {}\n"},
		{name: "a version that is too new", document: "openapi: 3.2.0\npaths: {}\n", problem: `a.yaml:1:10: this version of OpenAPI, "3.2.0", is not supported`},
		{name: "a parameter that only the path has", document: operation("/a/{id}", ""), note: `4:10: no parameter describes {id} of the path "/a/{id}"`, parameters: "path id string"},
		{name: "a parameter that the path has not", document: operation("/a", "parameters: [{ name: id, in: path, required: true, schema: { type: string } }],"), note: `the path "/a" has no {id}`},
		{name: "a parameter as in Swagger 2.0", document: operation("/a", "parameters: [{ name: q, in: query, type: string }],"), note: `4:44: the parameter "q" has no schema`, parameters: "query q any"},
		{name: "a doubled operationId", document: strings.Replace(operation("/a", ""), "    get:", "    put: { operationId: read, responses: {} }\n    get:", 1), note: "4:25: another operation is called read: this one is called read2 in code"},
		{name: "a form whose fields depend on each other", document: strings.Replace(operation("/a", `requestBody: { content: { multipart/form-data: { schema: { type: object, properties: { a: { type: string } }, anyOf: [{ required: [a] }, { maxProperties: 0 }] } } } },`), "get:", "post:", 1), note: "4:89: routes read the fields of a form one by one: what this asks of several together is not checked"},
		{name: "a type of another language", document: schema("{ type: int }"), problem: `3:37: "int" is no type of JSON Schema: write integer`},
		{name: "a type in capitals", document: schema("{ type: String }"), problem: `"String" is no type of JSON Schema: write string`},
		{name: "a type that nobody knows", document: schema("{ type: thing }"), problem: `"thing" is no type of JSON Schema`},
		{name: "a type that is null without quotes", document: schema("{ oneOf: [{ type: string }, { type: null }] }"), note: `3:65: the type is null without quotes, or empty: it is read as "null"`},
		{name: "a list of types with null without quotes", document: strings.Replace(schema("{ type: [string, null] }"), "3.0.3", "3.1.0", 1), note: `3:46: the type is null without quotes`},
		{name: "a count with a zero fraction", document: schema("{ type: array, items: { type: string, maxLength: 10.0 }, contains: {}, minContains: 2.0, maxItems: 1e1 }")},
		{name: "a count with a fraction", document: schema("{ type: string, maxLength: 1.5 }"), problem: "3:56: maxLength should be a whole number, 0 or more"},
		{name: "a count below zero", document: schema("{ type: string, maxLength: -1.0 }"), problem: "3:56: maxLength should be a whole number, 0 or more"},
		{name: "nullable beside a reference", document: schema(`{ type: object, properties: { a: { $ref: "#/components/schemas/A", nullable: true } } }`), note: "3:106: OpenAPI 3.0 ignores nullable beside $ref: it is read as it is meant"},
		{name: "a limit beside a reference", document: schema(`{ type: object, properties: { a: { $ref: "#/components/schemas/A", minProperties: 1 } } }`), note: "3:111: minProperties beside $ref does not count in OpenAPI 3.0"},
		{name: "content that is a reference", document: operation("/a", `parameters: [{ name: q, in: query, content: { $ref: "#/components/mediaTypes/q" } }],`) + "components: { mediaTypes: { q: { application/json: { schema: { type: string } } } } }\n", parameters: "query q string"},
		{name: "a pattern of another language", document: schema(`{ type: string, pattern: '\A\d+\z' }`), note: `the pattern is not checked by the generated schemas: JavaScript knows no \A`},
		{name: "a doubled key", document: "openapi: 3.0.3\npaths: {}\npaths: {}\n", problem: `a.yaml:3:8: the object has the key "paths" twice`},
		{name: "another file", document: schema(`{ $ref: "./b.yaml" }`), problem: "a bundler makes one file of several"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, problems := spec.Parse("a.yaml", []byte(tt.document))
			var model *ir.Model
			if len(problems) == 0 {
				model, problems = ir.Build(t.Context(), "a.yaml", root)
			}
			if tt.problem == "" && len(problems) > 0 || !strings.Contains(problems.Error(), tt.problem) {
				t.Errorf("problems: %v, want %q", problems, tt.problem)
			}
			if model == nil {
				return
			}
			if notes := model.Notes.Error(); !strings.Contains(notes, tt.note) || tt.note == "" && notes != "" {
				t.Errorf("notes: %s, want %q", notes, tt.note)
			}
			var parameters []string
			if tt.parameters != "" {
				for _, p := range model.Operations[0].Parameters {
					kind := "any"
					if p.Schema.Types == ir.String {
						kind = "string"
					}
					parameters = append(parameters, p.In+" "+p.Name+" "+kind)
				}
			}
			if got := strings.Join(parameters, ", "); got != tt.parameters {
				t.Errorf("parameters: %s, want %s", got, tt.parameters)
			}
		})
	}
}
