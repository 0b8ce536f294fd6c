package repoconfig

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// TestSchemaAgrees runs the examples through the parser and the published schema: both take what
// is under testdata/valid and refuse what is under testdata/invalid.
func TestSchemaAgrees(t *testing.T) {
	t.Parallel()
	compiled := compileSchema(t)
	for _, folder := range []string{"valid", "invalid"} {
		files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yml"))
		if err != nil || len(files) < 3 {
			t.Fatalf("%d examples under %s: %v", len(files), folder, err)
		}
		for _, file := range files {
			t.Run(file, func(t *testing.T) {
				t.Parallel()
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				_, problems := Parse(data)
				bySchema := compiled.Validate(asJSON(t, data))
				wantValid := folder == "valid"
				if (len(problems) == 0) != wantValid || (bySchema == nil) != wantValid {
					t.Errorf("valid should be %t; parser: %v; schema: %v", wantValid, problems, bySchema)
				}
			})
		}
	}
}

// TestSchemaNamesEveryKey walks the schema and gives each key a value of no accepted type: the
// parser must know the key, and refuse the value.
func TestSchemaNamesEveryKey(t *testing.T) {
	t.Parallel()
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	keys := 0
	var walk func(properties map[string]any, wrap func(any) any)
	walk = func(properties map[string]any, wrap func(any) any) {
		for key, value := range properties {
			inside := func(v any) any { return wrap(map[string]any{key: v}) }
			file, err := yaml.Marshal(inside(3.5))
			if err != nil {
				t.Fatal(err)
			}
			keys++
			_, problems := Parse(file)
			if len(problems) != 1 || bytes.Contains([]byte(problems[0].Message), []byte("unknown")) {
				t.Errorf("%s: %v", file, problems)
			}
			if nested, ok := value.(map[string]any)["properties"].(map[string]any); ok {
				walk(nested, inside)
			}
		}
	}
	walk(root["properties"].(map[string]any), func(v any) any { return v })
	if keys < 43 {
		t.Errorf("only %d keys found", keys)
	}
}

// TestSchemaDefaults says that the defaults that the schema shows are the parser's own.
func TestSchemaDefaults(t *testing.T) {
	t.Parallel()
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	file := map[string]any{}
	for _, section := range []string{"preview", "bindings", "layout", "spec"} {
		file[section] = defaults(root["properties"].(map[string]any)[section].(map[string]any))
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	got, problems := Parse(text)
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, text)
	}
	want := Default()
	want.Policy.Labels = Labels{Require: []string{}, Skip: []string{}}
	want.Policy.Paths.Ignore, want.Policy.Bindings.Allow = []string{}, []string{}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("defaults differ:\n%+v\n%+v", want, got)
	}
}

func defaults(object map[string]any) map[string]any {
	values := map[string]any{}
	for key, value := range object["properties"].(map[string]any) {
		property := value.(map[string]any)
		if _, nested := property["properties"]; nested {
			values[key] = defaults(property)
			continue
		}
		if number, ok := property["default"].(float64); ok {
			values[key] = int(number)
			continue
		}
		if value, ok := property["default"]; ok {
			values[key] = value
		}
	}
	return values
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("flaresmith.schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("flaresmith.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// asJSON is the file as an editor's schema check sees it.
func asJSON(t *testing.T, data []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return document
}
