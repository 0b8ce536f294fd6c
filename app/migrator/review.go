package migrator

import (
	"errors"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/migration"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Approve is a *preview.ApprovalError while a person must look at the migrations first.
func Approve(r preview.Resource, f migration.Folder, parent []Row) error {
	if !r.RequireApproval || r.Approved {
		return nil
	}
	if problems := destructive(f, parent); len(problems) > 0 {
		return &preview.ApprovalError{Problems: append(problems, f.Unapplied()...)}
	}
	return nil
}

// destructive names what is destructive in the migrations that the parent lacks.
func destructive(f migration.Folder, parent []Row) []preview.Problem {
	return migration.Destructive(f.Format, compare(f, parent, parent).pending)
}

// Warned adds to what is wrong with migrations what else should be known of them.
func Warned(err error, f migration.Folder, parent []Row) error {
	var invalid *preview.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	for _, p := range slices.Concat(destructive(f, parent), f.Unapplied()) {
		p.Warning = true
		invalid.Problems = append(invalid.Problems, p)
	}
	return err
}

// Outputs tell how the branch, which has the rows branch, differs from its parent.
func Outputs(f migration.Folder, branch, parent []Row) preview.Outputs {
	return preview.Outputs{Migrations: beyond(f, branch, parent), BehindParent: Behind(branch, parent), Warnings: destructive(f, parent), Unapplied: f.Unapplied()}
}

const (
	maxDiff = 20_000 // bytes
	diffCut = "-- … truncated\n"
	// NoDiff stands for a schema difference that could not be computed.
	NoDiff = "-- the schema difference could not be computed\n"
)

// TruncateDiff cuts a schema difference to what is shown, at the end of a line, and says so.
func TruncateDiff(text string) string {
	if len(text) <= maxDiff {
		return text
	}
	text = text[:maxDiff-len(diffCut)]
	return text[:strings.LastIndexByte(text, '\n')+1] + diffCut
}
