package codegen_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/codegen"
)

// nullableReferences has components that are others, or null: what refers to them refers to both.
const nullableReferences = `{"openapi": "3.0.3", "info": {"title": "Pets", "version": "1"}, "paths": {"/pets": {"post": {
	"requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Twice"}}}},
	"responses": {"201": {"description": "Made", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}}}}},
"components": {"schemas": {
	"Cat": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string", "enum": ["cat"]}}},
	"Dog": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string", "enum": ["dog"]}}},
	"MaybeDog": {"$ref": "#/components/schemas/Dog", "nullable": true},
	"MaybeDogTwice": {"$ref": "#/components/schemas/MaybeDog"},
	"Pet": {"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/MaybeDogTwice"}], "discriminator": {"propertyName": "kind"}},
	"Keeper": {"type": "object", "required": ["id", "name"], "properties": {"id": {"type": "string", "readOnly": true}, "name": {"type": "string"}}},
	"MaybeKeeper": {"$ref": "#/components/schemas/Keeper", "nullable": true},
	"Twice": {"$ref": "#/components/schemas/MaybeKeeper"},
	"Both": {"allOf": [{"$ref": "#/components/schemas/MaybeDogTwice"}, {"$ref": "#/components/schemas/Twice"}]},
	"Kept": {"type": "object", "properties": {"keeper": {"$ref": "#/components/schemas/Twice"}, "pet": {"$ref": "#/components/schemas/Pet"}}}
}}}`

// TestNullableReferences sees null kept where it is said behind the first of two references.
func TestNullableReferences(t *testing.T) {
	t.Parallel()
	files, err := codegen.Generate(t.Context(), fstest.MapFS{"openapi.json": {Data: []byte(nullableReferences)}}, codegen.Options{OpenAPI: "openapi.json"})
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]string{}
	for _, f := range files.All {
		content[f.Path] = string(f.Content)
	}
	for _, want := range []struct{ file, text string }{
		{"schemas.ts", "export const Pet = z.xor(["},
		{"schemas.ts", "}).nullable().meta({ id: \"Both\" })"},
		{"routes.ts", "name: z.string(),\n        }).nullable() },"},
	} {
		if !strings.Contains(content[want.file], want.text) {
			t.Errorf("%q is not in %s:\n%s", want.text, want.file, content[want.file])
		}
	}
}

// TestNullBesideMore has null as a branch where that is not all that is said of it.
func TestNullBesideMore(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ schema, want, never string }{
		"one branch of anyOf":      {`{"anyOf": [{"type": "string"}, {"type": "null"}]}`, `= z.string().nullable()`, "z.null()"},
		"and not, which may be it": {`{"anyOf": [{"type": "string"}, {"type": "null"}], "not": {"enum": [null, "a"]}}`, "z.union([\n  z.string(),\n  z.null(),", "z.string().nullable()"},
		"and a condition":          {`{"anyOf": [{"type": "string"}, {"type": "null"}], "if": {"type": "null"}, "then": false}`, "z.union([\n  z.string(),\n  z.null(),", "z.string().nullable()"},
		"one branch of oneOf":      {`{"oneOf": [{"type": "string"}, {"type": "null"}]}`, `= z.string().nullable()`, "z.null()"},
		"two branches of oneOf":    {`{"oneOf": [{"type": "null"}, {"type": "null"}, {"type": "string"}]}`, "z.xor([\n  z.null(),\n  z.null(),", "nullable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document := `{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}, "components": {"schemas": {"S": ` + tt.schema + `}}}`
			files, err := codegen.Generate(t.Context(), fstest.MapFS{"api.json": {Data: []byte(document)}}, codegen.Options{OpenAPI: "api.json", Targets: []string{"zod"}})
			if err != nil {
				t.Fatal(err)
			}
			if text := string(files.All[0].Content); !strings.Contains(text, tt.want) || strings.Contains(text, tt.never) {
				t.Errorf("want %q and no %q:\n%s", tt.want, tt.never, text)
			}
		})
	}
}
