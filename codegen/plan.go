package codegen

import (
	"io/fs"
	"slices"

	"github.com/flaresmith/flaresmith/codegen/drift"
)

// Plan compares generated files with what is there, and gives the manifest that goes with them.
func Plan(disk fs.FS, files Files, manifest drift.Manifest, uncommitted drift.UncommittedFunc) (drift.Report, drift.Manifest, error) {
	report, err := drift.Plan(disk, manifest, files.targets, files.All, uncommitted)
	if err != nil {
		return drift.Report{}, drift.Manifest{}, err
	}
	report.Mismatch(files.Mismatches)
	inputs := files.inputs
	if len(files.Mismatches) > 0 {
		inputs = "" // the next run tells the conflicts again
	}
	next := manifest.Next(generation, inputs, files.targets, files.All)
	files.keepPromises(manifest, &next)
	breaking, notes := drift.Breaking(manifest, next)
	report.BreakingChanges = breaking
	report.Notes = slices.Concat(report.Notes, notes, files.Notes)
	return report, next, nil
}
