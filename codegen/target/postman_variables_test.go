package target

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// TestManyBodies has many requests with one body of many members, each of which may name what another request makes.
func TestManyBodies(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	t.Parallel()
	var members, names, paths strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&members, `, "m%d": {"type": "string"}`, i)
		fmt.Fprintf(&names, `, "m%d"`, i)
	}
	for i := range 5000 {
		fmt.Fprintf(&paths, `, "/p%d": {"put": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}, "example": {}}}}, "responses": {}}}`, i)
	}
	root, problems := spec.Parse("api.json", []byte(`{"openapi": "3.1.0", "paths": {`+paths.String()[2:]+`}, "components": {"schemas": {"S": {"type": "object", "required": [`+names.String()[2:]+`], "properties": {`+members.String()[2:]+`}}}}}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	model, problems := ir.Build(t.Context(), "api.json", root)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	written := make(chan error, 1)
	began := time.Now()
	go func() {
		_, err := Postman(t.Context(), model, "api")
		written <- err
	}()
	select {
	case err := <-written:
		if err != nil {
			t.Error(err)
		}
		t.Log(time.Since(began))
	case <-time.After(3 * time.Minute):
		t.Error("the collection takes longer than three minutes")
	}
}

// TestLargeParameters has one request whose parameters share an example: all of them together are bounded before they are composed to an
// address, and not when that is written.
func TestLargeParameters(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	text := `"` + strings.Repeat("long ", 200_000) + `"`
	for name, example := range map[string]string{"query": text, "cookie": text, "list": "[" + strings.Repeat(`"", `, 100_000) + `""]`} {
		in := strings.Replace(name, "list", "query", 1)
		var list strings.Builder
		for i := range 500 {
			fmt.Fprintf(&list, `, {"name": "p%d", "in": "%s", "required": true, "schema": {"$ref": "#/components/schemas/S"}}`, i, in)
		}
		root, problems := spec.Parse("api.json", []byte(`{"openapi": "3.1.0", "paths": {"/p": {"get": {"parameters": [`+list.String()[2:]+`], "responses": {}}}}, "components": {"schemas": {"S": {"example": `+example+`}}}}`))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		model, problems := ir.Build(t.Context(), "api.json", root)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Postman(t.Context(), model, "api")
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, ErrTooLarge) || took > 10*MaxFile {
			t.Errorf("%s: %d MB of memory, error %v", name, took>>20, err)
		}
	}
}
