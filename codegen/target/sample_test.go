package target

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// TestSample makes a value of each schema; another library says whether it is valid.
func TestSample(t *testing.T) {
	t.Parallel()
	tests := []string{
		`{"type": "string"}`,
		`{"type": "string", "minLength": 10, "maxLength": 12}`,
		`{"type": "string", "maxLength": 2}`,
		`{"type": "string", "pattern": "^[a-z][a-z0-9-]{2,39}$"}`,
		`{"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}`,
		`{"type": "string", "pattern": "^(dev|prod)-\\d+(\\.\\d+)*$", "minLength": 12}`,
		`{"type": "string", "pattern": "^#(?:[0-9a-fA-F]{3}){1,2}$"}`,
		`{"type": "string", "pattern": "[A-Z]", "minLength": 20}`,
		`{"type": "string", "format": "date-time"}`,
		`{"type": "string", "format": "uuid"}`,
		`{"type": "integer", "minimum": 18, "maximum": 20}`,
		`{"type": "integer", "maximum": -5}`,
		`{"type": "integer", "exclusiveMinimum": 10, "multipleOf": 5}`,
		`{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}`,
		`{"type": "number", "minimum": 0.5, "multipleOf": 0.25, "maximum": 0.6}`,
		`{"type": "array", "minItems": 3, "uniqueItems": true, "items": {"type": "integer"}}`,
		`{"type": "array", "minItems": 2, "uniqueItems": true, "items": {"enum": ["a", "b"]}}`,
		`{"type": "array", "minItems": 2, "uniqueItems": true, "items": {"type": "string", "example": "日本語"}}`,
		`{"type": "array", "maxItems": 0, "items": {"type": "string"}}`,
		`{"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false}`,
		`{"type": "array", "contains": {"const": 7}, "items": {"type": "integer"}}`,
		`{"type": "object", "minProperties": 2, "additionalProperties": {"type": "boolean"}}`,
		`{"type": "object", "required": ["a"], "properties": {"a": {"type": ["null", "string"]}, "b": {"default": 3}}, "additionalProperties": false}`,
		`{"allOf": [{"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}, {"type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}}}]}`,
		`{"oneOf": [{"type": "string", "maxLength": 3}, {"type": "integer"}]}`,
		`{"type": "object", "required": ["kind"], "properties": {"kind": {"const": "x"}}, "anyOf": [{"required": ["n"], "properties": {"n": {"type": "integer"}}}]}`,
		`{"type": "object", "required": ["next"], "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}`,
		`{"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}`,
		`{"enum": [{"a": [1, "x"]}]}`,
		`{"type": "integer", "default": "x"}`,
		`true`,
	}
	for _, source := range tests {
		schema := model(t, source)
		value := pretty((&samples{goOn: func() {}}).of(schema, true))
		if again := pretty((&samples{goOn: func() {}}).of(schema, true)); again != value {
			t.Errorf("%s: %s, then %s", source, value, again)
		}
		if !utf8.ValidString(value) {
			t.Errorf("%s: the sample %q is not UTF-8", source, value)
		}
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(value))
		if err != nil {
			t.Fatalf("%s: %s: %v", source, value, err)
		}
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(source))
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		compiler.AssertFormat()
		if err := compiler.AddResource("schema.json", document); err != nil {
			t.Fatal(err)
		}
		compiled, err := compiler.Compile("schema.json")
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(instance); err != nil {
			t.Errorf("%s: the sample %s is not valid: %v", source, value, err)
		}
	}
}

// model reads a schema as the only one of a document.
func model(t *testing.T, source string) *ir.Schema {
	t.Helper()
	if source == "true" {
		source = "{}"
	}
	source = strings.TrimSuffix(`{"$schema": "https://json-schema.org/draft/2020-12/schema", `+source[1:], ", }")
	if !strings.HasSuffix(source, "}") {
		source += "}"
	}
	root, problems := spec.Parse("schema.json", []byte(source))
	if len(problems) > 0 {
		t.Fatalf("%s: %v", source, problems)
	}
	m, problems := ir.BuildSchema(t.Context(), "schema.json", "root", root)
	if len(problems) > 0 {
		t.Fatalf("%s: %v", source, problems)
	}
	return m.Components[len(m.Components)-1].Schema
}

// TestSampleBombs makes samples of schemas and patterns that ask for very much.
func TestSampleBombs(t *testing.T) {
	t.Parallel()
	var wide strings.Builder
	wide.WriteString(`{"type": "object", "required": ["a", "b", "c", "d"], "$defs": {`)
	for i := range 30 {
		fmt.Fprintf(&wide, `"x%d": {"type": "object", "required": ["a", "b", "c", "d"], "properties": {"a": {"$ref": "#/$defs/x%[2]d"}, "b": {"$ref": "#/$defs/x%[2]d"}, "c": {"$ref": "#/$defs/x%[2]d"}, "d": {"$ref": "#/$defs/x%[2]d"}}},`, i, i+1)
	}
	wide.WriteString(`"x30": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/x0"}, "b": {"$ref": "#/$defs/x0"}, "c": {"$ref": "#/$defs/x0"}, "d": {"$ref": "#/$defs/x0"}}}`)
	began := time.Now()
	for _, source := range []string{
		`{"type": "string", "minLength": 1000000000, "pattern": "^((((a*)*)*)*)*$"}`,
		`{"type": "string", "minLength": 10000, "pattern": "^((((()*)*)*)*)*$"}`,
		`{"type": "array", "minItems": 1000000000, "items": {"type": "array", "minItems": 1000000000, "items": {"type": "array", "minItems": 1000000000, "items": {"type": "string"}}}}`,
		wide.String(),
	} {
		(&samples{goOn: func() {}}).of(model(t, source), true)
	}
	if took := time.Since(began); took > 3*time.Minute {
		t.Errorf("took %s", took)
	}
}

// TestMatchingBounded has a pattern of which each match would take seconds, and one that is only long.
func TestMatchingBounded(t *testing.T) {
	t.Parallel()
	if found, ok := matching(strings.Repeat("(?:a?){1000}", 50), 5000, 9000); ok {
		t.Errorf("found a text of %d characters", len(found))
	}
	if found, ok := matching("^[a-z]{1,900}[0-9]$", 500, 600); !ok || len(found) != 501 {
		t.Errorf("found %q", found)
	}
}

func FuzzMatching(f *testing.F) {
	for _, seed := range []string{"^[a-z]+$", "a{2,5}|b", `\d{4}-\d{2}`, "(?:x(y)?)*", "^[^a]$", `^\p{L}+$`} {
		f.Add(seed, 3, 10)
	}
	f.Fuzz(func(t *testing.T, pattern string, least, most int) {
		found, ok := matching(pattern, min(max(least, 0), 1000), most)
		if ok && !regexp.MustCompile(pattern).MatchString(found) {
			t.Errorf("%q does not match %q", found, pattern)
		}
	})
}

// TestMatchesKept: a text for a pattern is sought once, whatever number of operations ask for it, and what is kept is bounded.
func TestMatchesKept(t *testing.T) {
	t.Parallel()
	schema := model(t, `{"type": "string", "minLength": 3, "pattern": "^[a-z]+$"}`)
	a := &samples{goOn: func() {}}
	if got := a.of(schema, true).Text; len(got) < 3 || len(a.matches) != 1 {
		t.Fatalf("got %q, kept %v", got, a.matches)
	}
	for limits := range a.matches {
		a.matches[limits] = match{"known", true}
	}
	if got := a.of(schema, false).Text; got != "known" {
		t.Errorf("sought again: %q", got)
	}
	for i := range maxMatches/9000 + 10 {
		a.matching(textLimits{"^a*$", 9000, 9000 + i})
	}
	kept := 0
	for limits, found := range a.matches {
		if kept += len(found.text); !found.ok {
			t.Errorf("nothing found for %v", limits)
		}
	}
	if kept > maxMatches || kept == 0 {
		t.Errorf("%d bytes are kept", kept)
	}
}
