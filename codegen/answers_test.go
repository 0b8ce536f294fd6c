package codegen_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/codegen"
)

// TestLargeAnswers has answers that lead to every schema of a document: where these are very many, neither tools nor tests hold them.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	document := func(components int) string {
		var schemas, paths strings.Builder
		for i := range components {
			fmt.Fprintf(&schemas, `, "S%d": {"type": "object", "properties": {`, i)
			for j := range 20 {
				fmt.Fprintf(&schemas, `"p%d": {"type": "string"}, `, j)
			}
			fmt.Fprintf(&schemas, `"next": {"$ref": "#/components/schemas/S%d"}}}`, (i+1)%components)
		}
		for i := range 9 {
			fmt.Fprintf(&paths, `, "/p%d": {"get": {"operationId": "get%d", "responses": {"200": {"description": "x", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S%d"}}}}}}}`, i, i, i)
		}
		return `{"openapi": "3.1.0", "info": {"title": "Large", "version": "1"}, "paths": {` + paths.String()[2:] + `}, "components": {"schemas": {` + schemas.String()[2:] + `}}}`
	}
	for _, tt := range []struct {
		components int
		written    bool
	}{{20, true}, {200, false}} {
		t.Run(fmt.Sprint(tt.components), func(t *testing.T) {
			t.Parallel()
			files, err := codegen.Generate(t.Context(), fstest.MapFS{"api.json": {Data: []byte(document(tt.components))}}, codegen.Options{OpenAPI: "api.json"})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files.All {
				switch text := string(f.Content); f.Path {
				case "mcp.json":
					if got := strings.Count(text, `"outputSchema"`); got != map[bool]int{true: 9}[tt.written] || strings.Count(text, `"inputSchema"`) != 9 {
						t.Errorf("%d tools have an outputSchema", got)
					}
				case "api.postman_collection.json":
					if got := strings.Count(text, "as the contract says"); got != map[bool]int{true: 9}[tt.written] {
						t.Errorf("%d requests test the body", got)
					}
				case "schemas.ts":
					if strings.Count(text, "export const S") != tt.components {
						t.Error("schemas are missing")
					}
				}
			}
			const note = `the answers of 9 operations, such as get0, lead to more than`
			if told := strings.Contains(files.Notes.Error(), note); told == tt.written {
				t.Errorf("notes: %v", files.Notes)
			}
		})
	}
}

// TestManyAnswers has a small document whose answers, or bodies, would make hundreds of megabytes all together.
func TestManyAnswers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	const components, operations = 900, 1500
	var schemas, paths strings.Builder
	for i := range components {
		fmt.Fprintf(&schemas, `, "S%d": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/S%d"}}}`, i, (i+1)%components)
	}
	for i := range operations {
		fmt.Fprintf(&paths, `, "/p%d": {"post": {"operationId": "o%d", "%%s": %%s}}`, i, i)
	}
	content := `{"description": "x", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}}`
	for name, member := range map[string][2]string{"answers": {"responses", `{"200": ` + content + `}`}, "bodies": {"requestBody", content}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document := `{"openapi": "3.1.0", "info": {"title": "Many", "version": "1"}, "paths": {` + strings.NewReplacer("%s\": %s", member[0]+`": `+member[1]).Replace(paths.String()[2:]) + `}, "components": {"schemas": {` + schemas.String()[2:] + `}}}`
			files, err := codegen.Generate(t.Context(), fstest.MapFS{"api.json": {Data: []byte(document)}}, codegen.Options{OpenAPI: "api.json", Targets: []string{"mcp", "postman"}})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files.All {
				if f.Path == "mcp.json" && strings.Count(string(f.Content), `"inputSchema"`) != operations {
					t.Error("tools are missing")
				}
				if len(f.Content) > 150<<20 {
					t.Errorf("%s has %d MB", f.Path, len(f.Content)>>20)
				}
			}
			if !strings.Contains(files.Notes.Error(), "MB with all before them") {
				t.Errorf("notes: %v", files.Notes)
			}
		})
	}
}

// TestHeavyBodies has bodies of a few schemas that say much, and a parameter that many operations share: all that are left out are told.
func TestHeavyBodies(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	t.Parallel()
	const operations = 1500
	word := strings.Repeat("x", 40_000)
	list := "[" + strings.Repeat("7.25, ", 6_600) + "1]"
	body := `"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}}`
	parameter := `"parameters": [{"$ref": "#/components/parameters/P"}]`
	for name, tt := range map[string][3]string{
		"parameter": {parameter, `"parameters": {"P": {"name": "q", "in": "query", "description": "` + word + `", "schema": {"type": "string"}}}`, word},
		"default":   {body, `"schemas": {"S": {"default": {"a": ` + list + `}}}`, "7.25"},
		"pattern":   {body, `"schemas": {"S": {"type": "string", "pattern": "` + word + `"}}`, word},
		"enum":      {body, `"schemas": {"S": {"enum": [{"a": ` + list + `}]}}`, "7.25"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var paths strings.Builder
			for i := range operations {
				fmt.Fprintf(&paths, `, "/p%d": {"post": {%s, "responses": {}}}`, i, tt[0])
			}
			document := `{"openapi": "3.1.0", "info": {"title": "Heavy", "version": "1"}, "paths": {` + paths.String()[2:] + `}, "components": {` + tt[1] + `}}`
			files, err := codegen.Generate(t.Context(), fstest.MapFS{"api.json": {Data: []byte(document)}}, codegen.Options{OpenAPI: "api.json", Targets: []string{"mcp"}})
			if err != nil {
				t.Fatal(err)
			}
			written := 0
			for _, f := range files.All {
				for _, tool := range strings.Split(string(f.Content), `"inputSchema"`)[1:] {
					if strings.Contains(tool, tt[2]) {
						written++
					}
				}
			}
			note := fmt.Sprintf("the bodies or parameters of %d operations", operations-written)
			if written == 0 || written == operations || !strings.Contains(files.Notes.Error(), note) {
				t.Errorf("%d tools of %d have it, notes: %v", written, operations, files.Notes)
			}
		})
	}
}
