package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// leaks looks for everything that a preview is made of and that should be gone: databases, roles,
// processes, ports and files.
func (w *world) leaks(ctx context.Context) ([]string, error) {
	rows, err := w.admin.Query(ctx, `
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
		w.newPorts,
		func() ([]string, error) { return w.files("workers") },
		func() ([]string, error) { return w.files("collections") },
		func() ([]string, error) { return w.files("source") },
	} {
		found, err := look()
		leaks, errs = append(leaks, found...), append(errs, err)
	}
	slices.Sort(leaks)
	return leaks, errors.Join(errs...)
}

// wantFound makes sure, while the preview is up, that looking finds what it looks for.
func (w *world) wantFound(ctx context.Context) error {
	found, err := w.leaks(ctx)
	if err != nil {
		return err
	}
	kinds := []string{"database ", "role ", "file workers/", "file collections/"}
	if runtime.GOOS == "linux" {
		kinds = append(kinds, "process ", "socket ")
	}
	for _, kind := range kinds {
		if !slices.ContainsFunc(found, func(s string) bool { return strings.HasPrefix(s, kind) }) {
			return fmt.Errorf("there is no %sof the preview", kind)
		}
	}
	return nil
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
