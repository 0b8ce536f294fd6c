package codegen

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/codegen/drift"
)

// TestPromisesOfOneSchema has one schema with very many members in an object with a long name, which each of them repeats.
func TestPromisesOfOneSchema(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	t.Parallel()
	var members strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&members, `, "p%d": {}`, i)
	}
	inner := `{"type": "object", "properties": {` + members.String()[2:] + `}}`
	schema := `{"type": "object", "properties": {"` + strings.Repeat("long", maxOwner/4-10) + `": ` + inner + `}}`
	operation := `{"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}}, "responses": {}}`
	model, problems := build(t.Context(), document{source: "api.json", data: []byte(`{"openapi": "3.1.0", "paths": {"/p": {"put": ` + operation + `}}, "components": {"schemas": {"S": ` + schema + `}}}`)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	files := Files{promises: drift.Promises{}}
	files.promise(t.Context(), model)
	if files.promisedBytes <= maxPromises || files.promisedBytes > maxPromises+1<<20 {
		t.Errorf("%d MB were promised before that was too much", files.promisedBytes>>20)
	}
}
