package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flaresmith/flaresmith/app/migrator"
)

// dumpTools are pg_dump and pg_restore of at least the server's major version.
type dumpTools struct{ dump, restore string }

var dumpVersion = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// findDumpTools returns nil when there are none that fit.
func findDumpTools(ctx context.Context, path string, major int) *dumpTools {
	if path == PGDumpOff {
		return nil
	}
	if path == "" {
		path = "pg_dump"
	}
	dump, err := exec.LookPath(path)
	if err != nil {
		return nil
	}
	restore, err := exec.LookPath(filepath.Join(filepath.Dir(dump), "pg_restore"))
	if err != nil {
		return nil
	}
	for _, tool := range []string{dump, restore} {
		if version := toolVersion(ctx, tool); version < major {
			return nil
		}
	}
	return &dumpTools{dump: dump, restore: restore}
}

func toolVersion(ctx context.Context, tool string) int {
	ctx, cancel := context.WithTimeout(ctx, migrator.ConnectTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, tool, "--version").Output()
	if err != nil {
		return 0
	}
	match := dumpVersion.FindSubmatch(out)
	if match == nil {
		return 0
	}
	version, _ := strconv.Atoi(string(match[1])) // digits
	return version
}

// copyDump copies a parent that has sessions, and leaves them alone. Owners and grants are copied too, so that
// the result is what TEMPLATE gives.
func (s *Server) copyDump(ctx context.Context, parent, draft string) error {
	if err := s.createEmpty(ctx, parent, draft); err != nil {
		return err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	defer func() { _ = reader.Close() }() // closed twice on the way that goes well
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer func() { _ = writer.Close() }()
		return s.runTool(ctx, parent, nil, writer, s.dump.dump, "--format=custom", "--compress=0", "--no-subscriptions", "--no-publications")
	})
	group.Go(func() error {
		defer func() { _ = reader.Close() }() // pg_dump must not wait for a reader that died
		return s.runTool(ctx, draft, reader, nil, s.dump.restore, "--exit-on-error", "--single-transaction", "--dbname="+draft)
	})
	return group.Wait()
}

// createEmpty makes a database with the parent's encoding and collation.
func (s *Server) createEmpty(ctx context.Context, parent, draft string) error {
	var row []byte
	if err := s.admin.QueryRow(ctx, `SELECT to_jsonb(d) || jsonb_build_object('encoding', pg_encoding_to_char(encoding)) FROM pg_database d WHERE datname = $1`, parent).Scan(&row); err != nil {
		return fmt.Errorf("locale: %w", err)
	}
	var d struct {
		Encoding   string `json:"encoding"`
		Collate    string `json:"datcollate"`
		Ctype      string `json:"datctype"`
		Provider   string `json:"datlocprovider"`
		ICULocale  string `json:"daticulocale"` // until 16
		ICULocale2 string `json:"datlocale"`    // from 17
	}
	if err := json.Unmarshal(row, &d); err != nil {
		return fmt.Errorf("locale: %w", err)
	}
	locale := d.ICULocale + d.ICULocale2
	var options string
	err := s.admin.QueryRow(ctx, `SELECT format('ENCODING %L LC_COLLATE %L LC_CTYPE %L', $1::text, $2::text, $3::text) ||
		CASE $4::text WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', $5::text)
			WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', $5::text) ELSE ' LOCALE_PROVIDER libc' END`,
		d.Encoding, d.Collate, d.Ctype, d.Provider, locale).Scan(&options)
	if err != nil {
		return fmt.Errorf("locale: %w", err)
	}
	// It is empty when PUBLIC could connect for a moment.
	for _, statement := range []string{
		`CREATE DATABASE ` + quote(draft) + ` TEMPLATE template0 ` + options,
		`REVOKE ALL ON DATABASE ` + quote(draft) + ` FROM PUBLIC`,
	} {
		if _, err := s.admin.Exec(ctx, statement); err != nil {
			return fmt.Errorf("create empty: %w", err)
		}
	}
	return nil
}

// runTool runs one of PostgreSQL's tools as the administrator. The password goes by the environment of the
// child, never by its arguments, which every user of the machine can read.
func (s *Server) runTool(ctx context.Context, database string, in io.Reader, out io.Writer, tool string, args ...string) error {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &head{buffer: &stderr}
	cmd.Env = s.toolEnv(database)
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", filepath.Base(tool), ctx.Err())
		}
		return fmt.Errorf("%s: %w: %s", filepath.Base(tool), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}

// toolEnv is the whole environment of a tool.
func (s *Server) toolEnv(database string) []string {
	c := s.admin.Config().ConnConfig
	env := []string{
		"PGHOST=" + c.Host, "PGPORT=" + strconv.Itoa(int(c.Port)), "PGUSER=" + c.User, "PGPASSWORD=" + c.Password,
		"PGDATABASE=" + database, // not an argument, where it could be a whole connection string

		"PGCONNECT_TIMEOUT=10", "PGAPPNAME=flaresmith",
	}
	for key, value := range s.tlsParameters() {
		env = append(env, "PG"+key+"="+value)
	}
	return env
}

// head keeps the first bytes of a tool's complaints.
type head struct{ buffer *bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if room := 2048 - h.buffer.Len(); room > 0 {
		h.buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
