package codegen_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/codegen"
)

// TestTooLarge has small documents whose operations share something large, which is written for each: the run ends with the same error
// each time, and before it takes the memory.
func TestTooLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	large := strings.Repeat("long ", 200_000)
	list := `["` + strings.Repeat(`abc", "`, 100_000) + `"]`
	const shared = `"responses": {"200": {"$ref": "#/components/responses/R"}}`
	for _, tt := range []struct {
		name, target, operation, components, path, want string
		operations                                      int
	}{
		{
			"example of an answer", "postman", shared, `"responses": {"R": {"description": "x", "content": {"application/json": {"example": "` + large + `"}}}}`, "",
			"api.json:1:1: api.postman_collection.json would take more than 200 MB", 400,
		},
		{
			"description of an answer", "hono", shared, `"responses": {"R": {"description": "` + large + `"}}`, "",
			"api.json:1:1: routes.ts would take more than 200 MB", 400,
		},
		{
			"description of a parameter", "mcp", `"parameters": [` + references(7) + `], "responses": {}`,
			`"parameters": {` + described(7, large[:1800]) + `}`, "",
			"api.json:1:1: mcp.json would take more than 200 MB", 20_000,
		},
		{
			"example in a path", "postman", `"parameters": [{"$ref": "#/components/parameters/P"}], "responses": {}`,
			`"parameters": {"P": {"name": "id", "in": "path", "required": true, "example": ` + list + `, "schema": {"enum": ["a", "b"]}}}`, "/{id}",
			"api.json:1:1: api.postman_collection.json would take more than 200 MB", 1000,
		},
		{
			"choices of a parameter", "mcp", `"parameters": [{"$ref": "#/components/parameters/P"}], "responses": {}`,
			`"parameters": {"P": {"name": "q", "in": "query", "schema": {"enum": [` + numbers(10_000) + `]}}}`, "",
			"api.json:1:1: what people rely on, which the manifest lists, would take more than 64 MB", 1000,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var paths strings.Builder
			for i := range tt.operations {
				fmt.Fprintf(&paths, `, "/p%d%s": {"get": {%s}}`, i, tt.path, tt.operation)
			}
			document := `{"openapi": "3.1.0", "info": {"title": "Large", "version": "1"}, "paths": {` + paths.String()[2:] + `}, "components": {` + tt.components + `}}`
			_, err := codegen.Generate(t.Context(), fstest.MapFS{"api.json": {Data: []byte(document)}}, codegen.Options{OpenAPI: "api.json", Targets: []string{tt.target}})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%d kB gave the error %v, want %s", len(document)>>10, err, tt.want)
			}
		})
	}
}

func references(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"$ref": "#/components/parameters/P%d"}`, i)
	}
	return strings.Join(list, ", ")
}

func described(n int, title string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`"P%d": {"name": "q%d", "in": "query", "schema": {"type": "string", "title": "%s"}}`, i, i, title)
	}
	return strings.Join(list, ", ")
}

// numbers lists the first whole numbers as texts.
func numbers(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%q", fmt.Sprint(i))
	}
	return strings.Join(list, ", ")
}

// TestLongPath has a path that no request could be made to, and whose parameters would take their time.
func TestLongPath(t *testing.T) {
	t.Parallel()
	for _, fits := range []bool{true, false} {
		path := "/{a}"
		for len(path) < 8000 {
			path += "/b"
		}
		if !fits {
			path += "/c"
		}
		document := `{"openapi": "3.1.0", "info": {"title": "Long", "version": "1"}, "paths": {"` + path + `": {"get": {"responses": {}}}}}`
		_, err := codegen.Generate(t.Context(), fstest.MapFS{"api.json": {Data: []byte(document)}}, codegen.Options{OpenAPI: "api.json"})
		const want = "api.json:1:8081: the path is longer than 8000 characters"
		if fits != (err == nil) || !fits && err.Error() != want {
			t.Errorf("a path of %d characters gave the error %v", len(path), err)
		}
	}
}
