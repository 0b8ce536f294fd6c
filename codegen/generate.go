package codegen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/drift"
	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
	"github.com/flaresmith/flaresmith/codegen/target"
)

// generation is the version of what is generated: another output for the same input asks for another
// number, which the manifest and every file carry. A test compares it with the golden files.
const generation = 1

// Targets lists the kinds of files that can be generated.
func Targets() []string { return []string{zod, mcp} }

const (
	zod = "zod"
	mcp = "mcp"
)

// Options say what is read, and what is made of it.
type Options struct {
	Targets []string // empty: all
	OpenAPI string   // a single document instead of specs/; its files carry no folder
}

// Files is what a run gives.
type Files struct {
	All     []drift.File // sorted by path
	Notes   spec.Problems
	inputs  string
	targets []string
}

// Inputs is everything that Generate reads, and its hash.
type Inputs struct {
	Hash      string
	targets   []string
	documents []document
	notes     spec.Problems
}

type document struct {
	source       string // as people see it
	schemas, mcp string // paths of the generated files
	data         []byte
	requirements []spec.Requirement // of the feature
}

// Generate makes all files of the specs in fsys. With an error of type spec.Problems, everything
// that is wrong is told with its place, and there are no files.
func Generate(fsys fs.FS, o Options) (Files, error) {
	in, err := Load(fsys, o)
	if err != nil {
		return Files{}, err
	}
	return in.Generate()
}

// Load reads the inputs: the OpenAPI documents and JSON Schemas below specs/<feature>/contracts, or the
// one OpenAPI document that is named.
func Load(fsys fs.FS, o Options) (*Inputs, error) {
	for _, name := range o.Targets {
		if !slices.Contains(Targets(), name) {
			return nil, fmt.Errorf("there is no target %q: there are %s", name, strings.Join(Targets(), ", "))
		}
	}
	in := &Inputs{targets: Targets()}
	if len(o.Targets) > 0 {
		in.targets = slices.Compact(slices.Sorted(slices.Values(o.Targets)))
	}
	var err error
	if o.OpenAPI != "" {
		err = in.single(fsys, o.OpenAPI)
	} else {
		err = in.features(fsys)
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%q", in.targets)
	for _, d := range in.documents {
		fmt.Fprintf(sum, "%q%q%q%+v\x00%d\x00", d.source, d.schemas, d.mcp, d.requirements, len(d.data))
		sum.Write(d.data)
	}
	in.Hash = hex.EncodeToString(sum.Sum(nil))
	return in, nil
}

func (in *Inputs) single(fsys fs.FS, name string) error {
	data, err := readBounded(fsys, name)
	if err != nil {
		return err
	}
	in.documents = []document{{source: path.Base(name), schemas: "schemas.ts", mcp: "mcp.json", data: data}}
	return nil
}

// Current tells whether a manifest belongs to these inputs and this generator, and the disk holds what
// it lists: then nothing needs to be generated.
func (in *Inputs) Current(m drift.Manifest, disk fs.FS) bool {
	return m.Generation == generation && m.Inputs == in.Hash && m.Intact(disk)
}

// Generate makes the files.
func (in *Inputs) Generate() (Files, error) {
	files := Files{Notes: in.notes, inputs: in.Hash, targets: in.targets}
	var problems spec.Problems
	for _, d := range in.documents {
		model, wrong := build(d)
		if len(wrong) > 0 {
			problems = append(problems, wrong...)
			continue
		}
		files.Notes = append(files.Notes, model.Notes...)
		made, err := in.write(d, model)
		if err != nil {
			return Files{}, err
		}
		files.All = append(files.All, made...)
	}
	if len(problems) > 0 {
		return Files{}, problems.Sorted()
	}
	slices.SortFunc(files.All, func(a, b drift.File) int { return strings.Compare(a.Path, b.Path) })
	files.Notes = files.Notes.Sorted()
	return files, nil
}

func build(d document) (*ir.Model, spec.Problems) {
	root, problems := spec.Parse(d.source, d.data)
	if len(problems) > 0 {
		return nil, problems
	}
	if root.Get("openapi") == nil && root.Get("swagger") == nil && root.Get("$schema") != nil {
		return ir.BuildSchema(d.source, strings.TrimSuffix(path.Base(d.source), path.Ext(d.source)), root)
	}
	model, problems := ir.Build(d.source, root)
	if model != nil {
		model.Link(d.requirements)
	}
	return model, problems
}

// write makes the files of one document.
func (in *Inputs) write(d document, model *ir.Model) ([]drift.File, error) {
	var files []drift.File
	if slices.Contains(in.targets, zod) {
		files = append(files, drift.File{Path: d.schemas, Target: zod, Content: drift.Seal(generation, d.source, target.Zod(model))})
	}
	if slices.Contains(in.targets, mcp) && len(model.Operations) > 0 {
		content, err := drift.SealJSON(generation, d.source, target.MCP(model))
		if err != nil {
			return nil, err
		}
		files = append(files, drift.File{Path: d.mcp, Target: mcp, Content: content})
	}
	return files, nil
}
