package target

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// TestRequiredAndUnevaluated has a member that is required and described nowhere: there is no object that has it and nothing unevaluated.
func TestRequiredAndUnevaluated(t *testing.T) {
	t.Parallel()
	s := &jsonSchema{compact: true}
	s.root(model(t, `{"type": "object", "properties": {"a": {}}, "required": ["a", "z"], "unevaluatedProperties": false}`))
	if got, want := string(s.out), `{"type": "object","properties": {"a": {}},"required": ["a","z"],"unevaluatedProperties": false}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestBesideReference: what stands beside a reference describes the schema where that is written out, with what it does not say itself.
func TestBesideReference(t *testing.T) {
	t.Parallel()
	const document = `{"type": "object", "$defs": {"sort": {"type": "string", "title": "Sort", "description": "How"}, "b": {"type": "string", "title": "B"}, "c": {"type": "string", "default": "c"}},
		"properties": {"a": {"$ref": "#/$defs/sort", "title": "A", "default": "up", "deprecated": true}, "b": {"$ref": "#/$defs/b", "description": "Of b"}, "c": {"$ref": "#/$defs/c"}}}`
	s := &jsonSchema{compact: true}
	s.root(model(t, document))
	const want = `{"type": "object","properties": {"a": {"title": "A","description": "How","default": "up","deprecated": true,"type": "string"},` +
		`"b": {"title": "B","description": "Of b","type": "string"},"c": {"default": "c","type": "string"}}}`
	if got := string(s.out); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestNamesOfArguments has parameters in several places whose names meet those that others get for that.
func TestNamesOfArguments(t *testing.T) {
	t.Parallel()
	root, problems := spec.Parse("api.json", []byte(`{"openapi": "3.1.0", "paths": {"/p": {"post": {"parameters": [
		{"name": "header_a", "in": "query", "schema": {"type": "string"}}, {"name": "a", "in": "query", "schema": {"type": "string"}}, {"name": "a", "in": "header", "schema": {"type": "string"}},
		{"name": "body", "in": "query", "schema": {"type": "string"}}, {"name": "request_body", "in": "query", "schema": {"type": "string"}}],
		"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}, "responses": {}}}}}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	model, problems := ir.Build(t.Context(), "api.json", root)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	tools, err := MCP(t.Context(), model)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Tools []struct {
			InputSchema struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal([]byte("{"+string(tools)), &all); err != nil {
		t.Fatal(err)
	}
	if n := len(all.Tools[0].InputSchema.Properties); n != 6 || strings.Count(string(tools), `"header_a":`) != 1 {
		t.Errorf("%d arguments of 6:\n%s", n, tools)
	}
}
