package codegen

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"path"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
	"github.com/flaresmith/flaresmith/codegen/target"
)

// dataModel is a feature's data-model.md, with what its spec.md says of it.
type dataModel struct {
	source, specFile string
	data             []byte
	requirements     []spec.Requirement
	entities         []spec.KeyEntity
}

// dataModel reads a feature's data-model.md, if it has one.
func (in *Inputs) dataModel(fsys fs.FS, feature string) error {
	name := path.Join(specsFolder, feature, "data-model.md")
	if _, err := fs.Stat(fsys, name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	data, err := readBounded(fsys, name)
	if err != nil {
		return err
	}
	m := dataModel{source: name, specFile: path.Join(specsFolder, feature, "spec.md"), data: data}
	if text, err := readBounded(fsys, m.specFile); err == nil {
		m.requirements, _ = spec.Requirements(m.specFile, text)
		m.entities = spec.KeyEntities(text)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	in.models = append(in.models, m)
	return nil
}

// hashModels adds the data models to the hash of the inputs.
func (in *Inputs) hashModels(sum hash.Hash) {
	for _, m := range in.models {
		fmt.Fprintf(sum, "%q%+v%+v\x00%d\x00", m.source, m.requirements, m.entities, len(m.data))
		sum.Write(m.data)
	}
	if in.byTrust {
		fmt.Fprint(sum, "by trust")
	}
}

// database makes one database of all data models.
func (in *Inputs) database(ctx context.Context) (*ir.Database, error) {
	var models []*spec.DataModel
	var problems spec.Problems
	for _, m := range in.models {
		if err := ended(ctx, m.source, "it was read"); err != nil {
			return nil, err
		}
		model, wrong := spec.ParseDataModel(m.source, m.data)
		problems = append(problems, wrong...)
		models = append(models, model)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	db := ir.BuildDatabase(models)
	for _, m := range in.models {
		if err := ended(ctx, m.source, "the tables were joined"); err != nil {
			return nil, err
		}
		db.LinkFeature(m.specFile, m.source, m.requirements, m.entities)
	}
	return db, nil
}

// tables writes the database's module. Where notations disagree, the report has conflicts; they are notes if the
// run was told to take the more trusted one.
func (w *output) tables(ctx context.Context, files *Files) error {
	if len(w.in.models) == 0 {
		return nil
	}
	db, err := w.in.database(ctx)
	if err != nil {
		return err
	}
	files.promiseTables(db)
	files.Notes = append(files.Notes, db.Notes...)
	if w.in.byTrust {
		files.Notes = append(files.Notes, db.Conflicts...)
	} else {
		files.Mismatches = db.Conflicts
	}
	if len(db.Tables) == 0 {
		return nil
	}
	w.db = db
	from := w.in.models[0].source
	if len(w.in.models) > 1 {
		from = "the data models in " + specsFolder
	}
	return w.addModule(ctx, drizzle, path.Join(w.in.layout.Database, "schema.ts"), from, func() ([]byte, error) { return target.Drizzle(ctx, db) })
}
