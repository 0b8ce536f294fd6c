package codegen

import (
	"maps"
	"slices"

	"github.com/flaresmith/flaresmith/codegen/drift"
	"github.com/flaresmith/flaresmith/codegen/ir"
)

// promise notes what other people may rely on of a contract: its operations, and the required fields of its
// schemas.
func (f *Files) promise(m *ir.Model) {
	for _, o := range m.Operations {
		f.promised(drift.OperationPromise, o.Method+" "+o.Path)
	}
	for _, c := range m.Components {
		for _, p := range c.Schema.Properties {
			if p.Required {
				f.promised(drift.FieldPromise, c.Name+"."+p.Name)
			}
		}
	}
}

// promiseTables does it for tables and columns.
func (f *Files) promiseTables(d *ir.Database) {
	for _, t := range d.Tables {
		f.promised(drift.TablePromise, t.Name)
		for _, c := range t.Columns {
			f.promised(drift.ColumnPromise, t.Name+"."+c.Name)
		}
	}
}

func (f *Files) promised(kind, name string) {
	f.promises[kind] = append(f.promises[kind], name)
}

// keepPromises puts the promises of this run into a manifest, and those of the last run where this one
// did not look.
func (f *Files) keepPromises(last drift.Manifest, next *drift.Manifest) {
	next.Promises = map[string][]string{}
	for kind, names := range f.promises {
		next.Promises[kind] = slices.Compact(slices.Sorted(slices.Values(names)))
	}
	if !slices.Contains(f.targets, drizzle) {
		maps.Copy(next.Promises, map[string][]string{drift.TablePromise: last.Promises[drift.TablePromise], drift.ColumnPromise: last.Promises[drift.ColumnPromise]})
	}
	maps.DeleteFunc(next.Promises, func(_ string, names []string) bool { return len(names) == 0 })
}
