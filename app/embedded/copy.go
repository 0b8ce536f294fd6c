package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// copyTo copies the data folder of a running server into the empty folder target, as an online base backup
// does: what the server writes meanwhile is in the write-ahead log, which is copied last, and the copy
// recovers from it when it first starts. One copy at a time: each begins with a checkpoint and ends with a new segment of
// the log, so that several would write and throw away each other's.
func (p *Postgres) copyTo(ctx context.Context, target string) error {
	select {
	case p.copying <- struct{}{}:
		defer func() { <-p.copying }()
	case <-ctx.Done():
		return ctx.Err()
	}
	conn, err := pgx.Connect(ctx, p.URL().Reveal())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // ends a backup that was not stopped
	var first, last, label string
	if err := conn.QueryRow(ctx, `SELECT pg_walfile_name(pg_backup_start('copy', true))`).Scan(&first); err != nil {
		return err
	}
	c := copier{account: p.cluster.account, from: p.cluster.data(), to: target}
	if err := c.tree(ctx, ".", leftOut); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, `SELECT labelfile, pg_walfile_name(lsn) FROM pg_backup_stop(false)`).Scan(&label, &last); err != nil {
		return err
	}
	if err := c.write("backup_label", strings.NewReader(label)); err != nil {
		return err
	}
	return c.tree(ctx, "pg_wal", func(name string) bool { // of 16 MB each, and as many again that wait for their turn
		segment := path.Base(name)
		return len(segment) == len(first) && (segment < first || segment > last)
	})
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
	to := filepath.Join(c.to, name)
	if err := os.Mkdir(to, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return c.own(to)
}

func (c copier) write(name string, content io.Reader) error {
	to := filepath.Join(c.to, name)
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return c.own(to)
}

func (c copier) own(path string) error {
	if !c.account.other {
		return nil
	}
	return os.Lchown(path, int(c.account.uid), int(c.account.gid))
}
