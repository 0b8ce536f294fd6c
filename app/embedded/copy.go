package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// copyTo copies the data folder of a running server into the empty folder target, as an online base backup
// does: what the server writes meanwhile is in the write-ahead log, which is copied last, and the copy
// recovers from it when it first starts.
func (p *Postgres) copyTo(ctx context.Context, target string) error {
	conn, err := pgx.Connect(ctx, p.URL().Reveal())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // ends a backup that was not stopped
	if _, err := conn.Exec(ctx, `SELECT pg_backup_start('copy', true)`); err != nil {
		return err
	}
	c := copier{account: p.cluster.account, from: p.cluster.data(), to: target}
	if err := c.tree(ctx, ".", leftOut); err != nil {
		return err
	}
	var label string
	if err := conn.QueryRow(ctx, `SELECT labelfile FROM pg_backup_stop(false)`).Scan(&label); err != nil {
		return err
	}
	if err := c.write("backup_label", strings.NewReader(label)); err != nil {
		return err
	}
	return c.tree(ctx, "pg_wal", func(string) bool { return false })
}

// leftOut reports what belongs to the running server alone, or is made anew by recovery.
func leftOut(name string) bool {
	folder, _, inside := strings.Cut(name, "/")
	if inside {
		return slices.Contains([]string{"pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"}, folder) ||
			strings.Contains(name, "pgsql_tmp")
	}
	return name == "postmaster.pid" || name == "postmaster.opts" || name == "backup_label.old"
}

// copier copies between two data folders, for their user.
type copier struct {
	account  account
	from, to string
}

// tree copies the folder name with everything below it. What vanishes meanwhile is in the log.
func (c copier) tree(ctx context.Context, name string, leftOut func(name string) bool) error {
	return fs.WalkDir(os.DirFS(c.from), name, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case leftOut(name):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return c.folder(name)
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is no regular file: tablespaces can't be copied", name)
		}
		file, err := os.Open(filepath.Join(c.from, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		return c.write(name, file)
	})
}

func (c copier) folder(name string) error {
	path := filepath.Join(c.to, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return c.own(path)
}

func (c copier) write(name string, content io.Reader) error {
	path := filepath.Join(c.to, name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return c.own(path)
}

func (c copier) own(path string) error {
	if !c.account.other {
		return nil
	}
	return os.Lchown(path, int(c.account.uid), int(c.account.gid))
}
