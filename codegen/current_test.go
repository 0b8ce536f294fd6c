package codegen_test

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

// TestCurrent: a run is spared only where nothing that it depends on, and nothing that it made, is another.
func TestCurrent(t *testing.T) {
	t.Parallel()
	const contract, model, schemas, handlers = "specs/001-shop/contracts/openapi.yaml", "specs/001-shop/data-model.md", "src/schemas/001-shop.ts", "src/handlers/001-shop.ts"
	replace := func(name, old, fresh string) func(fstest.MapFS, *codegen.Options) {
		return func(disk fstest.MapFS, _ *codegen.Options) {
			text := strings.Replace(string(disk[name].Data), old, fresh, 1)
			if text == string(disk[name].Data) {
				t.Errorf("%s has no %q", name, old)
			}
			disk[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	tests := []struct {
		name   string
		change func(disk fstest.MapFS, o *codegen.Options)
		want   bool
	}{
		{"nothing", func(fstest.MapFS, *codegen.Options) {}, true},
		{"a person's file", replace(handlers, "\n", "\n// mine\n"), true},
		{"a person's file is gone", func(disk fstest.MapFS, _ *codegen.Options) { delete(disk, handlers) }, false},
		{"a generated file, as long as before", replace(schemas, "Item", "Idem"), false},
		{"a generated file is longer", replace(schemas, "\n", "\n\n"), false},
		{"a generated file is gone", func(disk fstest.MapFS, _ *codegen.Options) { delete(disk, schemas) }, false},
		{"a folder in place of a generated file", func(disk fstest.MapFS, _ *codegen.Options) {
			delete(disk, schemas)
			disk[schemas+"/a"] = &fstest.MapFile{}
		}, false},
		{"a contract", replace(contract, "kind", "sort"), false},
		{"a data model", replace(model, "code", "mark"), false},
		{"another feature", func(disk fstest.MapFS, _ *codegen.Options) { disk["specs/002-more/data-model.md"] = disk[model] }, false},
		{"other targets", func(_ fstest.MapFS, o *codegen.Options) { o.Targets = []string{"zod"} }, false},
		{"another layout", func(_ fstest.MapFS, o *codegen.Options) { o.Layout.Schemas = "elsewhere" }, false},
		{"other environments", func(_ fstest.MapFS, o *codegen.Options) { o.Layout.Environments = []string{"dev"} }, false},
		{"another generator", replace(drift.ManifestPath, `"generation": `, `"generation": 1`), false},
		{"no manifest", func(disk fstest.MapFS, _ *codegen.Options) { delete(disk, drift.ManifestPath) }, false},
		{"a file that is not listed", replace(drift.ManifestPath, `"files": {`, `"files": { "x.ts": { "target": "zod", "sha256": "0" },`), false},
	}
	specs := fstest.MapFS{contract: {Data: []byte(promisedContract)}, model: {Data: []byte(promisedModel)}}
	files, manifest := generated(t, specs)
	written := manifest.Bytes()
	specs[drift.ManifestPath] = &fstest.MapFile{Data: written}
	for _, f := range files.All {
		specs[f.Path] = &fstest.MapFile{Data: f.Content}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			disk, o := maps.Clone(specs), codegen.Options{}
			tt.change(disk, &o)
			in, err := codegen.Load(disk, o)
			if err != nil {
				t.Fatal(err)
			}
			head, err := drift.ReadHead(disk)
			if err != nil {
				t.Fatal(err)
			}
			if got := in.Current(head, disk); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// TestChangedMeanwhile: what is generated is of the inputs whose hash goes into the manifest.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	const contract = "specs/001-shop/contracts/openapi.yaml"
	for _, changed := range []string{promisedContract + "# more\n", strings.Replace(promisedContract, "kind", "sort", 1)} {
		specs := fstest.MapFS{contract: {Data: []byte(promisedContract)}}
		_, manifest := generated(t, specs)
		in, err := codegen.Load(specs, codegen.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if in.Current(manifest.Head, fstest.MapFS{}) {
			t.Fatal("there are no files, and they are current")
		}
		specs[contract] = &fstest.MapFile{Data: []byte(changed)}
		if files, err := in.Generate(t.Context()); err == nil || !strings.Contains(err.Error(), "changed while this ran") {
			t.Errorf("got %d files, %v", len(files.All), err)
		}
	}
}

// generated is what spec apply makes where there is nothing yet.
func generated(t *testing.T, specs fstest.MapFS) (codegen.Files, drift.Manifest) {
	t.Helper()
	files, err := codegen.Generate(t.Context(), specs, codegen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, manifest, err := codegen.Plan(fstest.MapFS{}, files, drift.Manifest{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return files, manifest
}
