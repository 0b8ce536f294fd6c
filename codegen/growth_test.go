package codegen_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/codegen"
)

// BenchmarkGrowth has documents that somebody could make for a loop within a loop: twice the document takes about
// twice the time.
func BenchmarkGrowth(b *testing.B) {
	repeat := func(n int, piece string) string {
		list := make([]string, n)
		for i := range list {
			list[i] = strings.ReplaceAll(piece, "#", strconv.Itoa(i))
		}
		return strings.Join(list, ", ")
	}
	object := func(n int) string {
		return `{"type": "object", "required": [` + repeat(n, `"m#"`) + `], "properties": {` + repeat(n, `"m#": {"type": "string"}`) + `}}`
	}
	const body, noResponse = `"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}}`, `"responses": {}`
	shared := func(n int, schema string) string { // by the parameters of all operations
		return repeat(n, `"/t#": {"get": {"parameters": [{"$ref": "P"}], `+noResponse+`}}`) + `}, "components": {"parameters": {"P": {"name": "q", "in": "header", "schema": ` + schema + `}}`
	}
	for _, tt := range []struct {
		name, target string
		n            int
		paths        func(n int) string
	}{
		{"folders", "postman", 1000, func(n int) string {
			return repeat(n, `"/t#/{v#}": {"get": {"tags": ["t#"], `+noResponse+`}}`)
		}},
		{"deletes", "postman", 1000, func(n int) string {
			return repeat(n, `"/t#/{v#}": {"get": {"tags": ["a"], `+noResponse+`}, "delete": {"tags": ["b"], `+noResponse+`}}`)
		}},
		{"collections", "postman", 1000, func(n int) string {
			return repeat(n, `"/t#": {"post": {"tags": ["a"], "responses": {"201": {"description": "x", "content": {"application/json": {"schema": {"type": "object", "properties": {"id": {"type": "string"}}}}}}}}}, "/t#/{v#}": {"get": {"tags": ["a"], `+noResponse+`}}`)
		}},
		{"fields", "postman", 5000, func(n int) string {
			return `"/a": {"post": {"requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": ` + object(n) + `, "example": {` + repeat(n, `"m#": "x"`) + `}}}}, ` + noResponse + `}}`
		}},
		{"members", "hono", 500, func(n int) string {
			return strings.ReplaceAll(repeat(n, `"/t#": {"post": {`+strings.ReplaceAll(body, "#", "!")+`, `+noResponse+`}}`), "!", "#") + `}, "components": {"schemas": {"S": ` + object(10*n) + `}`
		}},
		{"branches", "hono", 500, func(n int) string {
			return strings.ReplaceAll(shared(n, `{"anyOf": [`+repeat(10*n, `{"type": "object"}`)+`]}`), `"$ref": "P"`, `"$ref": "#/components/parameters/P"`)
		}},
		{"patterns", "postman", 100, func(n int) string { // of which a text is found late
			return strings.ReplaceAll(shared(n, `{"type": "string", "minLength": 1900, "pattern": "(?:a?){1000}(?:b?){1000}$"}`), `"$ref": "P"`, `"$ref": "#/components/parameters/P"`)
		}},
		{"parameters", "mcp", 5000, func(n int) string {
			return `"/a": {"get": {"parameters": [` + repeat(n, `{"name": "p#", "in": "header", "schema": {"type": "string"}}`) + `], ` + noResponse + `}}`
		}},
		{"names", "mcp", 1000, func(n int) string {
			return repeat(n, `"/t#": {"get": {"operationId": "same", `+noResponse+`}}`)
		}},
	} {
		for _, times := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("%s-%d", tt.name, times), func(b *testing.B) {
				document := `{"openapi": "3.1.0", "info": {"title": "Growth", "version": "1"}, "paths": {` + tt.paths(tt.n*times) + `}}`
				in := fstest.MapFS{"api.json": {Data: []byte(document)}}
				b.SetBytes(int64(len(document)))
				for b.Loop() {
					if _, err := codegen.Generate(b.Context(), in, codegen.Options{OpenAPI: "api.json", Only: []string{tt.target}}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
