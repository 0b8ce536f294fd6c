package codegen_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/drift"
	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
	"github.com/flaresmith/flaresmith/codegen/target"
)

// benchmarked is the document that FLARESMITH_BENCH_OPENAPI names, or one of 2,000 schemas made here.
func benchmarked(b *testing.B) (string, []byte) {
	b.Helper()
	if name := os.Getenv("FLARESMITH_BENCH_OPENAPI"); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		return filepath.Base(name), data
	}
	var s strings.Builder
	s.WriteString(`{"openapi": "3.1.0", "components": {"schemas": {`)
	for i := range 2000 {
		if i > 0 {
			s.WriteString(",\n")
		}
		fmt.Fprintf(&s, `"schema-%d": {"type": "object", "description": "Schema number %d", "required": ["id", "state"], "properties": {
  "id": {"type": "integer"}, "state": {"enum": ["open", "closed"]}, "at": {"type": ["string", "null"], "format": "date-time"},
  "next": {"$ref": "#/components/schemas/schema-%d"}, "tags": {"type": "array", "items": {"type": "string", "maxLength": 20}}}}`, i, i, max(0, i-1))
	}
	s.WriteString("}}}")
	return "openapi.json", []byte(s.String())
}

func parsed(b *testing.B) (string, *spec.Node) {
	b.Helper()
	name, data := benchmarked(b)
	root, problems := spec.Parse(name, data)
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	return name, root
}

func built(b *testing.B) *ir.Model {
	b.Helper()
	name, root := parsed(b)
	model, problems := ir.Build(b.Context(), name, root)
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	return model
}

func BenchmarkParse(b *testing.B) {
	name, data := benchmarked(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := spec.Parse(name, data); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	name, root := parsed(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := ir.Build(b.Context(), name, root); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}

func BenchmarkZod(b *testing.B) {
	model := built(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := target.Zod(b.Context(), model); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	name, data := benchmarked(b)
	in := fstest.MapFS{name: &fstest.MapFile{Data: data}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := codegen.Generate(b.Context(), in, codegen.Options{OpenAPI: name}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTarget is a run for one target, reading included.
func BenchmarkTarget(b *testing.B) {
	name, data := benchmarked(b)
	in := fstest.MapFS{name: &fstest.MapFile{Data: data}}
	for _, target := range codegen.Targets() {
		b.Run(target, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := codegen.Generate(b.Context(), in, codegen.Options{OpenAPI: name, Targets: []string{target}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUnchanged is a run over files that are up to date.
func BenchmarkUnchanged(b *testing.B) {
	name, data := benchmarked(b)
	in := fstest.MapFS{name: &fstest.MapFile{Data: data}}
	files, err := codegen.Generate(b.Context(), in, codegen.Options{OpenAPI: name})
	if err != nil {
		b.Fatal(err)
	}
	disk := fstest.MapFS{}
	for _, f := range files.All {
		disk[f.Path] = &fstest.MapFile{Data: f.Content}
	}
	_, manifest, err := codegen.Plan(disk, files, drift.Manifest{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	written := manifest.Bytes()
	disk[drift.ManifestPath] = &fstest.MapFile{Data: written}
	b.ReportAllocs()
	for b.Loop() {
		loaded, err := codegen.Load(in, codegen.Options{OpenAPI: name})
		if err != nil {
			b.Fatal(err)
		}
		head, err := drift.ReadHead(disk)
		if err != nil {
			b.Fatal(err)
		}
		if !loaded.Current(head, disk) {
			b.Fatal("not current")
		}
	}
}
