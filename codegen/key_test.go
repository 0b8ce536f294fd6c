package codegen_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// TestFieldsOfRealDataModels compares what is read in real data models with a key that was made by hand: no
// field may be missed, and none invented.
func TestFieldsOfRealDataModels(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(sharedSpecs + "/*/data-model.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Skip(sharedSpecs + " is not there")
	}
	var models []*spec.DataModel
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		model, problems := spec.ParseDataModel(name, data)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		models = append(models, model)
	}
	got := make(map[string]string)
	for _, table := range ir.BuildDatabase(models).Tables {
		for _, c := range table.Columns {
			got[table.Name+"."+c.Name] = kind(c) + referenced(c)
		}
	}
	want := fieldsKey(t)
	right := 0
	for name, fact := range want {
		// What the key has no default for may still have an inferred one, which is noted.
		if read := got[name]; read == fact || read == strings.Replace(fact, "!", "!=", 1) {
			right++
		} else {
			t.Errorf("%s: read %q, want %q", name, read, fact)
		}
	}
	t.Logf("%d of %d fields are as the key says", right, len(want))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Error(diff)
	}
}

// fieldsKey is the key by table and column, as "uuid!>projects".
func fieldsKey(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/key/fields.txt")
	if err != nil {
		t.Fatal(err)
	}
	key := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		table, columns, found := strings.Cut(line, ":")
		if strings.HasPrefix(line, "#") || !found {
			continue
		}
		for _, column := range strings.Fields(columns) {
			name, fact, _ := strings.Cut(column, ":")
			key[table+"."+name] = fact
		}
	}
	return key
}

// kind is a column's type in the key's words, with ! and = as the key has them.
func kind(c *ir.Column) string {
	families := map[string]string{"integer": "int", "boolean": "bool", "jsonb": "json", "timestamp with time zone": "time", "timestamptz": "time", "varchar": "text", "char": "text"}
	family := c.Type.Name
	if short, ok := families[family]; ok {
		family = short
	}
	if c.Enum != nil || len(c.Values) > 0 {
		family = "enum"
	}
	if c.Type.Array {
		family += "[]"
	}
	if c.NotNull || c.Primary {
		family += "!"
	}
	if c.Default != "" {
		family += "="
	}
	return family
}

func referenced(c *ir.Column) string {
	if c.References == nil {
		return ""
	}
	return fmt.Sprintf(">%s", c.References.Table.Name)
}
