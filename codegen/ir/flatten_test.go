package ir_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// TestMergedProperties has a chain of allOf in which each object has the members of all before it: half the square of its length.
func TestMergedProperties(t *testing.T) {
	t.Parallel()
	const length = 2000
	var schemas strings.Builder
	for i := range length {
		fmt.Fprintf(&schemas, `"S%d": {"allOf": [{"$ref": "#/components/schemas/S%d"}, {"type": "object", "properties": {"m%d": {"type": "string"}}}]}, `, i, i+1, i)
	}
	root, problems := spec.Parse("api.json", fmt.Appendf(nil, `{"openapi": "3.1.0", "paths": {}, "components": {"schemas": {%s"S%d": {"type": "object"}}}}`, schemas.String(), length))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	model, problems := ir.Build(t.Context(), "api.json", root)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	merged, kept := 0, 0
	for _, c := range model.Components {
		merged += len(c.Schema.Properties)
		if len(c.Schema.All) > 0 {
			kept++
		}
	}
	if merged > 1_000_000 || merged < 900_000 || kept == 0 || kept > length/2 {
		t.Errorf("%d properties in all, and %d objects that are still allOf", merged, kept)
	}
}
