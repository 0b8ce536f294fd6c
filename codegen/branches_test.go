package codegen_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/flaresmith/flaresmith/codegen"
)

// TestBranches has very many ways through branches to the same schema, of which each is looked at once; and
// branches within branches whose code would double with every level, which is refused.
func TestBranches(t *testing.T) {
	t.Parallel()
	chain := func(level string) string {
		var all strings.Builder
		for i := range 60 {
			fmt.Fprintf(&all, `"A%d": %s, `, i, strings.ReplaceAll(level, "NEXT", fmt.Sprintf(`{"$ref": "#/components/schemas/A%d"}`, i+1)))
		}
		return all.String() + `"A60": {"type": "object"}`
	}
	nested := `{"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}}`
	for range 24 {
		nested = `{"allOf": [` + nested + `, {"type": "object", "minProperties": 1}]}`
	}
	unevaluated := `{"type": "object", "properties": {"a": {"type": "string"}}}`
	for range 24 {
		unevaluated = `{"anyOf": [` + unevaluated + `, {"type": "object", "properties": {"b": {}}}], "unevaluatedProperties": false}`
	}
	var branches strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&branches, `"C%d": {"allOf": [{"$ref": "#/components/schemas/X"}], "unevaluatedProperties": false}, `, i)
	}
	paths := `"/a": {"post": {
		"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A0"}}}},
		"responses": {"201": {"description": "Made", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A0"}}}}}}},
	"/a/{id}": {"get": {"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}], "responses": {"200": {"description": "Found"}}}}`
	for _, test := range []struct{ name, schemas, want string }{
		{"oneOf", chain(`{"oneOf": [NEXT, NEXT]}`), ""},
		{"anyOf with limits", chain(`{"anyOf": [NEXT, {"allOf": [NEXT, {"type": "object", "minProperties": 1}]}]}`), ""},
		{"allOf that stays", chain(`{"allOf": [NEXT, NEXT], "minProperties": 1, "not": {"type": "string"}}`), ""},
		{"allOf that is flattened", chain(`{"allOf": [NEXT, NEXT, {"properties": {"a": {"type": "string"}}}]}`), ""},
		{"members", chain(`{"type": "object", "required": ["l", "r"], "properties": {"l": NEXT, "r": NEXT}}`), ""},
		{"conditions", chain(`{"if": NEXT, "then": {"anyOf": [NEXT, NEXT]}, "else": {"not": NEXT}}`), ""},
		{"unevaluated members of oneOf", chain(`{"oneOf": [NEXT, NEXT], "properties": {"p": {}}, "unevaluatedProperties": false}`), ""},
		{"unevaluated members of open branches", chain(`{"anyOf": [NEXT, NEXT, {"properties": {"p": {}}}]}`) + `, "B": {"allOf": [{"$ref": "#/components/schemas/A0"}], "unevaluatedProperties": false}`, ""},
		{"closed within closed", `"A0": ` + nested, "api.json:1:"},
		{"unevaluated within unevaluated", `"A0": ` + unevaluated, "api.json:1:"},
		{"large branches that many refer to", branches.String() + `"A0": {}, "X": {"oneOf": [` + strings.Repeat(`{"type": "object", "properties": {"`+strings.Repeat("a", 5000)+`": {}}},`, 40) + `{"type": "string"}]}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			source := `{"openapi": "3.1.0", "info": {"title": "Branches", "version": "1"}, "paths": {` + paths + `}, "components": {"schemas": {` + test.schemas + `}}}`
			source = strings.ReplaceAll(source, "\n", " ")
			type outcome struct {
				files codegen.Files
				err   error
			}
			done := make(chan outcome, 1)
			go func() {
				files, err := codegen.Generate(t.Context(), fstest.MapFS{"api.json": {Data: []byte(source)}}, codegen.Options{OpenAPI: "api.json"})
				done <- outcome{files, err}
			}()
			select {
			case got := <-done:
				switch {
				case test.want == "" && got.err != nil:
					t.Error(got.err)
				case test.want != "" && (got.err == nil || !strings.HasPrefix(got.err.Error(), test.want) || !strings.Contains(got.err.Error(), "nest deeper than 10 levels")):
					t.Errorf("got the error %v", got.err)
				}
				size := 0
				for _, f := range got.files.All {
					size += len(f.Content)
				}
				if size > 6<<20 {
					t.Errorf("%d bytes are generated", size)
				}
			case <-time.After(3 * time.Minute):
				t.Fatal("this takes forever")
			}
		})
	}
}
