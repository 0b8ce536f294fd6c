package codegen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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
const generation = 7

// Targets lists the kinds of files that can be generated.
func Targets() []string { return []string{zod, drizzle, hono, postman, mcp} }

const (
	zod     = "zod"
	drizzle = "drizzle"
	hono    = "hono"
	mcp     = "mcp"
	postman = "postman"
)

// Options say what is read, and what is made of it.
type Options struct {
	Targets []string // what the project has; empty: all
	Only    []string // the targets of this run, if not all that the project has
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
	promises   drift.Promises

	promisedBytes int // about
}

// Inputs is everything that Generate reads.
type Inputs struct {
	hash      string // of all; "" until somebody needs it
	fsys      fs.FS
	targets   []string
	layout    Layout
	byTrust   bool
	documents []document
	models    []dataModel // of the features, where they are asked for
	notes     spec.Problems
}

type document struct {
	name         string             // in the inputs
	source       string             // as people see it
	stem         string             // what the generated files are named after
	data         []byte             // while files are generated
	requirements []spec.Requirement // of the feature
}

// Generate makes all files of the specs in fsys. With an error of type spec.Problems, everything
// that is wrong is told with its place, and there are no files. Where the context ends, the error says what was at work.
func Generate(ctx context.Context, fsys fs.FS, o Options) (Files, error) {
	in, err := Load(fsys, o)
	if err != nil {
		return Files{}, err
	}
	return in.Generate(ctx)
}

// Load looks at the inputs: the OpenAPI documents and JSON Schemas below specs/<feature>/contracts and the
// features' data models, or the one OpenAPI document that is named. Contracts are read by Current, which needs no more than their hash: memory for
// all of them would take longer to get; and by Generate, which has them in memory.
func Load(fsys fs.FS, o Options) (*Inputs, error) {
	targets, err := o.targets()
	if err != nil {
		return nil, err
	}
	in := &Inputs{fsys: fsys, targets: targets, byTrust: o.ByTrust}
	if in.layout, err = o.Layout.complete(o.OpenAPI != ""); err != nil {
		return nil, err
	}
	if o.OpenAPI != "" {
		in.documents = []document{{name: o.OpenAPI, source: path.Base(o.OpenAPI)}}
	} else if err := in.features(fsys); err != nil {
		return nil, err
	}
	return in, nil
}

// read keeps what the documents hold.
func (in *Inputs) read() error {
	for i := range in.documents {
		var err error
		if in.documents[i].data, err = readBounded(in.fsys, in.documents[i].name); err != nil {
			return err
		}
	}
	return nil
}

// sum hashes the inputs.
func (in *Inputs) sum() (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q%q", in.targets, in.layout)
	for _, d := range in.documents {
		content, size, err := d.open(in.fsys)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%q%q%+v\x00%d\x00", d.source, d.stem, d.requirements, size)
		_, err = io.CopyN(sum, content, size)
		content.Close()
		if err != nil {
			return "", fmt.Errorf("read %s: %w", d.source, err)
		}
	}
	in.hashModels(sum)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// open gives what was kept, or else the file.
func (d document) open(fsys fs.FS) (io.ReadCloser, int64, error) {
	if d.data != nil {
		return io.NopCloser(bytes.NewReader(d.data)), int64(len(d.data)), nil
	}
	return openBounded(fsys, d.name)
}

// targets are those of the run, sorted. The routes of hono need the schemas of zod; its handlers for plain CRUD
// need the tables of drizzle, where the project has them.
func (o Options) targets() ([]string, error) {
	for _, name := range slices.Concat(o.Targets, o.Only) {
		if !slices.Contains(Targets(), name) {
			return nil, fmt.Errorf("there is no target %q: there are %s", name, strings.Join(Targets(), ", "))
		}
	}
	project := o.Targets
	if len(project) == 0 {
		project = Targets()
	}
	run := slices.Clone(project)
	if len(o.Only) > 0 {
		run = slices.Clone(o.Only)
	}
	if slices.Contains(run, hono) {
		run = append(run, zod)
		if o.OpenAPI == "" && slices.Contains(project, drizzle) {
			run = append(run, drizzle)
		}
	}
	slices.Sort(run)
	return slices.Compact(run), nil
}

// Current tells whether a manifest belongs to these inputs and this generator, and the disk holds what
// it lists: then nothing needs to be generated.
func (in *Inputs) Current(h drift.Head, disk fs.FS) bool {
	if h.Generation != generation || h.Inputs == "" {
		return false
	}
	hash, err := in.sum()
	if err != nil {
		return false // Generate tells why
	}
	in.hash = hash
	return h.Inputs == hash && h.Intact(disk)
}

// Generate makes the files. Where the context ends, there are none, and the error says what was at work.
func (in *Inputs) Generate(ctx context.Context) (Files, error) {
	files := Files{Notes: in.notes, targets: in.targets, promises: drift.Promises{}}
	if err := in.read(); err != nil {
		return Files{}, err
	}
	models, err := in.buildAll(ctx)
	if err != nil {
		return Files{}, err
	}
	files.inputs = in.hash
	for _, m := range models {
		files.Notes = append(files.Notes, m.model.Notes...)
	}
	w := &output{in: in}
	if err := w.tables(ctx, &files); err != nil {
		return Files{}, err
	}
	err = together(
		func() error { return w.write(ctx, models) },
		func() error {
			for _, m := range models {
				if files.promise(ctx, m.model); files.promisedBytes > maxPromises {
					return tooLarge(m.source, "what people rely on, which the manifest lists,", maxPromises)
				}
				if err := ended(ctx, m.source, "what people rely on was listed"); err != nil {
					return err
				}
			}
			return nil
		},
	)
	if err != nil {
		return Files{}, err
	}
	files.All = w.all
	files.Notes = append(files.Notes, w.notes...).Sorted()
	return files, nil
}

// buildAll makes the models of all documents, and hashes these meanwhile; where they were hashed before, it makes sure that they are the same.
func (in *Inputs) buildAll(ctx context.Context) ([]made, error) {
	models, problems := make([]made, len(in.documents)), make([]spec.Problems, len(in.documents))
	parts := []func() error{func() error {
		before := in.hash
		var err error
		if in.hash, err = in.sum(); err == nil && before != "" && in.hash != before {
			err = errors.New("the specs were changed while this ran: run it again")
		}
		return err
	}}
	for i, d := range in.documents {
		parts = append(parts, func() error {
			const doing = "it was read"
			if err := ended(ctx, d.source, doing); err != nil {
				return err
			}
			models[i].document = d
			models[i].model, problems[i] = build(ctx, d)
			return ended(ctx, d.source, doing)
		})
	}
	if err := together(parts...); err != nil {
		return nil, err
	}
	if all := slices.Concat(problems...); len(all) > 0 {
		return nil, all.Sorted()
	}
	return models, nil
}

func build(ctx context.Context, d document) (*ir.Model, spec.Problems) {
	root, problems := spec.Parse(d.source, d.data)
	if len(problems) > 0 || ctx.Err() != nil {
		return nil, problems
	}
	if root.Get("openapi") == nil && root.Get("swagger") == nil && root.Get("$schema") != nil {
		return ir.BuildSchema(ctx, d.source, strings.TrimSuffix(path.Base(d.source), path.Ext(d.source)), root)
	}
	model, problems := ir.Build(ctx, d.source, root)
	if model != nil {
		model.Link(ctx, d.requirements)
	}
	return model, problems
}

// ended is the error of a run that nobody waits for any more, with what was at work; nil while somebody does.
func ended(ctx context.Context, source, doing string) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("%s: the run was ended while %s: %w", source, doing, context.Cause(ctx))
}
