package codegen_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/codegen"
)

// patience is a context that ends when it was asked often enough, and counts.
type patience struct {
	context.Context
	most  int64
	asked atomic.Int64
}

func (p *patience) Err() error {
	if p.asked.Add(1) > p.most {
		return context.Canceled
	}
	return nil
}

// manySamples is a document of which each target writes little and looks at much: its operations share parameters, and each has a tag
// and a name of its own.
func manySamples(operations int) string {
	var paths strings.Builder
	for i := range operations {
		fmt.Fprintf(&paths, `, "/t%d/{p%d}": {"parameters": [{"$ref": "#/components/parameters/P"}],
			"get": {"tags": ["t%d"], "responses": {"200": {"description": "x", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}}}},
			"delete": {"tags": ["t%d"], "responses": {"204": {"description": "x"}}}}`, i, i, i, i)
	}
	return `{"openapi": "3.1.0", "info": {"title": "Many", "version": "1"}, "paths": {` + paths.String()[2:] + `}, "components": {
		"parameters": {"P": {"name": "q", "in": "query", "schema": {"type": "array", "minItems": 10, "items": {"type": "array", "minItems": 10, "items": {"type": "string", "pattern": "^[a-z]{9}[0-9]*$"}}}}},
		"schemas": {"S": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"enum": ["a", "b"]}}}}}}`
}

// TestEnded ends the context of a run at different times: it stops there, says where, and gives nothing.
func TestEnded(t *testing.T) {
	t.Parallel()
	in := fstest.MapFS{"api.json": {Data: []byte(manySamples(300))}}
	step := int64(1)
	if testing.Short() {
		step = 4 // what runs side by side is ended the same way at any time
	}
	for _, name := range []string{"zod", "hono", "postman", "mcp"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := codegen.Options{OpenAPI: "api.json", Only: []string{name}}
			whole := &patience{Context: t.Context(), most: math.MaxInt64}
			if _, err := codegen.Generate(whole, in, options); err != nil {
				t.Fatal(err)
			}
			all := whole.asked.Load()
			for part := int64(0); part < 8; part += step {
				ctx := &patience{Context: t.Context(), most: all * part / 8}
				files, err := codegen.Generate(ctx, in, options)
				if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "api.json: the run was ended while ") {
					t.Errorf("after %d of %d questions, the error is %v", ctx.most, all, err)
				}
				if len(files.All) > 0 {
					t.Errorf("after %d of %d questions, there are %d files", ctx.most, all, len(files.All))
				}
				const parts = 20 // that are at work or asked whether to begin
				if more := ctx.asked.Load() - ctx.most; more > parts {
					t.Errorf("after %d of %d questions, %d more were asked", ctx.most, all, more)
				}
			}
			if all < 60 {
				t.Errorf("a run asks %d times only", all)
			}
		})
	}
}

// TestEndedTables has no document but a data model.
func TestEndedTables(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("nobody waits")
	cancel(why)
	in := fstest.MapFS{"specs/001-shop/data-model.md": {Data: []byte("# Data model\n\n## Product\n\n| Field | Type | Constraints |\n|---|---|---|\n| id | uuid | PK |\n")}}
	files, err := codegen.Generate(ctx, in, codegen.Options{})
	if !errors.Is(err, why) || !strings.Contains(err.Error(), "specs/001-shop/data-model.md: ") || len(files.All) > 0 {
		t.Errorf("%d files, error %v", len(files.All), err)
	}
}
