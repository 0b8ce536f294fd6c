package ir_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// TestManyLargeAnswers has many operations that lead to one schema of very many properties, each on a way of its own.
func TestManyLargeAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	t.Parallel()
	var properties, paths strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&properties, `, "p%d": {}`, i)
	}
	for i := range 20_000 {
		fmt.Fprintf(&paths, `, "/p%d": {"get": {"responses": {"200": {"description": "x", "content": {"application/json": {"schema": {"items": {"$ref": "#/components/schemas/S"}}}}}}}}`, i)
	}
	root, problems := spec.Parse("api.json", []byte(`{"openapi": "3.1.0", "paths": {`+paths.String()[2:]+`}, "components": {"schemas": {"S": {"properties": {`+properties.String()[2:]+`}}}}}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	built := make(chan spec.Problems, 1)
	began := time.Now()
	go func() {
		_, problems := ir.Build(t.Context(), "api.json", root)
		built <- problems
	}()
	select {
	case problems := <-built:
		if len(problems) > 0 {
			t.Error(problems)
		}
		t.Log(time.Since(began))
	case <-time.After(3 * time.Minute):
		t.Error("the model takes longer than three minutes")
	}
}

// TestManyParameters has a path item with parameters and answers that very many paths share.
func TestManyParameters(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	t.Parallel()
	var paths, list strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&paths, `, "/p%d": {"$ref": "#/components/pathItems/X"}`, i)
		fmt.Fprintf(&list, `, {"name": "p%d", "in": "%%s", "schema": {}}`, i)
	}
	document := func(item string) string {
		return `{"openapi": "3.1.0", "paths": {` + paths.String()[2:] + `}, "components": {"pathItems": {"X": {` + item + `}}}}`
	}
	var segments strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&segments, "/{p%d}", i)
	}
	for name, item := range map[string]string{
		"parameters":       `"parameters": [` + strings.ReplaceAll(list.String()[2:], "%s", "query") + `], "get": {"responses": {}}`,
		"not in the path":  `"parameters": [` + strings.ReplaceAll(list.String()[2:], "%s", "path") + `], "get": {"responses": {}}`,
		"types of content": `"get": {"responses": {"200": {"description": "x", "content": {` + strings.NewReplacer(`{"name": "`, `"a/`, `", "in": "%s", "schema": {}}`, `": {}`).Replace(list.String()[2:]) + `}}}}`,
		"answers":          `"get": {"responses": {` + answers(400) + `}}, "put": {"responses": {` + answers(400) + `}}`,
		"of the path":      "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := document(item)
			if item == "" {
				text = strings.ReplaceAll(document(`"get": {"responses": {}}`), `": {"$ref"`, segments.String()+`": {"$ref"`)
			}
			root, problems := spec.Parse("api.json", []byte(text))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			const want = "all operations together have more than 500000 parameters and answers"
			if _, problems := ir.Build(t.Context(), "api.json", root); len(problems) != 1 || !strings.Contains(problems.Error(), want) {
				t.Errorf("problems %v, want %s", problems, want)
			}
		})
	}
}

// answers lists answers with each status from 100 on.
func answers(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`"%d": {"description": "x"}`, 100+i)
	}
	return strings.Join(list, ", ")
}
