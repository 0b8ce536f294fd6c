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
)

// generation is the version of what is generated: another output for the same input asks for another
// number, which the manifest and every file carry. A test compares it with the golden files.
const generation = 3

// Targets lists the kinds of files that can be generated.
func Targets() []string { return []string{zod, drizzle, hono, postman, mcp} }

const (
	zod     = "zod"
	drizzle = "drizzle"
	hono    = "hono" // its routes need the schemas of zod
	mcp     = "mcp"
	postman = "postman"
)

// Options say what is read, and what is made of it.
type Options struct {
	Targets []string // empty: all
	OpenAPI string   // a single document instead of specs/; its files carry no folder
	Layout  Layout   // where files go; what is empty has its default
	ByTrust bool     // where notations of a data model disagree, note that the more trusted one was taken, instead of telling conflicts
}

// Files is what a run gives.
type Files struct {
	All        []drift.File // sorted by path
	Notes      spec.Problems
	Mismatches spec.Problems // where data models contradict themselves: nothing must be written
	inputs     string
	targets    []string
	promises   map[string][]string // by kind; see drift.Breaking
}

// Inputs is everything that Generate reads, and its hash.
type Inputs struct {
	Hash      string
	targets   []string
	layout    Layout
	byTrust   bool
	documents []document
	models    []dataModel // of the features, where they are asked for
	notes     spec.Problems
}

type document struct {
	source       string // as people see it
	stem         string // what the generated files are named after
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

// Load reads the inputs: the OpenAPI documents and JSON Schemas below specs/<feature>/contracts and the
// features' data models, or the one OpenAPI document that is named.
func Load(fsys fs.FS, o Options) (*Inputs, error) {
	for _, name := range o.Targets {
		if !slices.Contains(Targets(), name) {
			return nil, fmt.Errorf("there is no target %q: there are %s", name, strings.Join(Targets(), ", "))
		}
	}
	in := &Inputs{targets: Targets(), byTrust: o.ByTrust}
	if len(o.Targets) > 0 {
		in.targets = slices.Clone(o.Targets)
		if slices.Contains(in.targets, hono) {
			in.targets = append(in.targets, zod)
		}
		slices.Sort(in.targets)
		in.targets = slices.Compact(in.targets)
	}
	var err error
	if in.layout, err = o.Layout.complete(o.OpenAPI != ""); err != nil {
		return nil, err
	}
	if o.OpenAPI != "" {
		err = in.single(fsys, o.OpenAPI)
	} else {
		err = in.features(fsys)
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%q%q", in.targets, in.layout)
	for _, d := range in.documents {
		fmt.Fprintf(sum, "%q%q%+v\x00%d\x00", d.source, d.stem, d.requirements, len(d.data))
		sum.Write(d.data)
	}
	in.hashModels(sum)
	in.Hash = hex.EncodeToString(sum.Sum(nil))
	return in, nil
}

func (in *Inputs) single(fsys fs.FS, name string) error {
	data, err := readBounded(fsys, name)
	if err != nil {
		return err
	}
	in.documents = []document{{source: path.Base(name), data: data}}
	return nil
}

// Current tells whether a manifest belongs to these inputs and this generator, and the disk holds what
// it lists: then nothing needs to be generated.
func (in *Inputs) Current(m drift.Manifest, disk fs.FS) bool {
	return m.Generation == generation && m.Inputs == in.Hash && m.Intact(disk)
}

// Generate makes the files.
func (in *Inputs) Generate() (Files, error) {
	files := Files{Notes: in.notes, inputs: in.Hash, targets: in.targets, promises: map[string][]string{}}
	var problems spec.Problems
	var models []made
	for _, d := range in.documents {
		model, wrong := build(d)
		if len(wrong) > 0 {
			problems = append(problems, wrong...)
			continue
		}
		files.Notes = append(files.Notes, model.Notes...)
		files.promise(model)
		models = append(models, made{d, model})
	}
	if len(problems) > 0 {
		return Files{}, problems.Sorted()
	}
	db, problems := in.tables(&files)
	if len(problems) > 0 {
		return Files{}, problems
	}
	w := &output{in: in, db: db, all: files.All}
	if err := w.write(models); err != nil {
		return Files{}, err
	}
	files.All = w.all
	files.Notes = append(files.Notes, w.notes...).Sorted()
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
