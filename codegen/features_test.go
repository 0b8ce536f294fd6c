package codegen_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/codegen"
)

// TestNumbersOfFeatures reads features in the order of their numbers, however those are written.
func TestNumbersOfFeatures(t *testing.T) {
	t.Parallel()
	column := func(folder string) string { return " f" + strings.ReplaceAll(folder, "-", "") + ": text(" }
	tests := []struct {
		name    string
		folders []string
		order   []string // of the columns that each adds to one table
		note    string
	}{
		{name: "numbers without zeros", folders: []string{"1-a", "2-b", "10-c"}, order: []string{"1-a", "2-b", "10-c"}},
		{name: "numbers with and without zeros", folders: []string{"010-c", "1-a", "02-b"}, order: []string{"1-a", "02-b", "010-c"}},
		{name: "one number written in two ways", folders: []string{"1-x", "001-y"}, order: []string{"001-y", "1-x"}, note: "specs/1-x:1:1: the number is also that of 001-y"},
		{name: "one number of three", folders: []string{"1-x", "01-y", "2-z"}, order: []string{"01-y", "1-x", "2-z"}, note: "specs/1-x:1:1: the number is also that of 01-y"},
		{name: "times", folders: []string{"20260131-120000-b", "20260131-090000-a", "999-z"}, order: []string{"999-z", "20260131-090000-a", "20260131-120000-b"}},
		{name: "a name that begins with a number", folders: []string{"001-202601-import", "001-202602-export", "002-a"}, order: []string{"001-202601-import", "001-202602-export", "002-a"}, note: "specs/001-202602-export:1:1: the number is also that of 001-202601-import"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := fstest.MapFS{}
			for _, folder := range tt.folders {
				in["specs/"+folder+"/data-model.md"] = &fstest.MapFile{Data: []byte("### Item\n- id (uuid)\n- f" + strings.ReplaceAll(folder, "-", "") + " (text)\n")}
			}
			files, err := codegen.Generate(t.Context(), in, codegen.Options{Targets: []string{"drizzle"}})
			if err != nil {
				t.Fatal(err)
			}
			content, order := string(files.All[0].Content), slices.Clone(tt.folders)
			slices.SortFunc(order, func(a, b string) int { return strings.Index(content, column(a)) - strings.Index(content, column(b)) })
			if diff := cmp.Diff(tt.order, order); diff != "" {
				t.Error(diff)
			}
			if told := strings.Contains(files.Notes.Error(), "the number is also"); told != (tt.note != "") || !strings.Contains(files.Notes.Error(), tt.note) {
				t.Errorf("notes: %v", files.Notes)
			}
		})
	}
}

// TestContractsWithLateKeys has contracts whose members are sorted, so that what tells them from other files is far behind their start.
func TestContractsWithLateKeys(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	var schemas strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&schemas, `, "S%d": {"type": "string", "maxLength": %d}`, i, i+1)
	}
	list := "{" + schemas.String()[2:] + "}"
	if len(list) < 64<<10 {
		t.Fatalf("only %d bytes: the test says little", len(list))
	}
	in := fstest.MapFS{
		"specs/001-a/contracts/openapi.json": {Data: []byte(`{"components": {"schemas": ` + list + `}, "info": {"title": "A", "version": "1"}, "openapi": "3.1.0", "paths": {}}`)},
		"specs/001-a/contracts/row.json":     {Data: []byte(`{"$defs": ` + list + `, "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Row", "type": "object", "properties": {"a": {"$ref": "#/$defs/S1"}}}`)},
		"specs/001-a/contracts/tools.json":   {Data: []byte(`{"tools": ` + list + `}`)},
	}
	files, err := codegen.Generate(t.Context(), in, codegen.Options{Targets: []string{"zod"}})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range files.All {
		paths = append(paths, f.Path)
	}
	if diff := cmp.Diff([]string{"src/schemas/001-a.ts", "src/schemas/001-a/row.ts"}, paths); diff != "" {
		t.Error(diff)
	}
}
