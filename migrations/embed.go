// Package migrations holds the numbered SQL that makes Flaresmith's own tables. The files are
// applied in order, forward only, under an advisory lock; see app/store.Migrate.
package migrations

import "embed"

// FS holds every migration, named <number>_<title>.sql in goose's format.
//
//go:embed *.sql
var FS embed.FS
