package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// found looks for databases, roles, processes, ports and files.
func (m machine) found(ctx context.Context) ([]string, error) {
	rows, err := m.admin.Query(ctx, `
		SELECT 'database ' || datname FROM pg_database WHERE datname LIKE 'preview-%'
		UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname LIKE 'preview-%' ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("look for databases: %w", err)
	}
	leaks, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for databases: %w", err)
	}
	var errs []error
	for _, look := range []func() ([]string, error){
		workerProcesses,
		openSockets,
		m.newPorts,
		func() ([]string, error) { return m.files("workers") },
		func() ([]string, error) { return m.files("collections") },
	} {
		found, err := look()
		leaks, errs = append(leaks, found...), append(errs, err)
	}
	return leaks, errors.Join(errs...)
}

// newPorts tells how many more TCP ports this process listens on than before the first preview.
func (w *world) newPorts() ([]string, error) {
	ports, err := listeningPorts()
	if err != nil || ports <= w.ports {
		return nil, err
	}
	return []string{fmt.Sprintf("%d ports", ports-w.ports)}, nil
}

// files lists every regular file under a folder of the server's data, relative to it.
func (w *world) files(folder string) ([]string, error) {
	var files []string
	err := fs.WalkDir(os.DirFS(filepath.Join(w.dir, "data", folder)), ".", func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !entry.IsDir() && strings.Contains(name, "preview-") {
			files = append(files, "file "+folder+"/"+name)
		}
		return err
	})
	return files, err
}
