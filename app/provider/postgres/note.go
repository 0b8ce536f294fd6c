package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// noteVersion is the format of the comments; what carries another is not ours.
const noteVersion = 1

// note is the comment of a branch's database, and of its role, as JSON. Every role of the server
// can read comments, so that it holds nothing but ids and digests.
type note struct {
	Flaresmith int          `json:"flaresmith"`
	Mark       preview.Mark `json:"mark"`
	Digest     string       `json:"digest,omitempty"` // of the finished branch; on the database only
	Schema     string       `json:"schema,omitempty"` // digest of the finished schema; on the database only
	Parent     string       `json:"parent,omitempty"` // the database that it was copied from; on the database only
	// Emptied says that the copy was emptied (Resource.SchemaOnly), and so must be each one after it.
	Emptied bool `json:"emptied,omitempty"`
	// Preview says that the data may be replaced (Resource.Keep is not set), Closed that the branch has grown too
	// large; on the database only. See CloseOvergrown.
	Preview bool `json:"preview,omitempty"`
	Closed  bool `json:"closed,omitempty"`
}

func parseNote(comment string) (note, bool) {
	var n note
	if err := json.Unmarshal([]byte(comment), &n); err != nil || n.Flaresmith != noteVersion {
		return note{}, false
	}
	return n, n.Mark != preview.Mark{}
}

// look is what the server holds under a branch's name.
type look struct {
	database, role         bool
	databaseNote, roleNote note
	oid                    uint32 // of the database
}

// owned reports whether all that exists carries exactly mark. A database whose role is missing is still
// ours by its own mark; one whose mark is missing never is.
func (l look) owned(mark preview.Mark) bool {
	return (l.database || l.role) &&
		(!l.database || l.databaseNote.Mark == mark) &&
		(!l.role || l.roleNote.Mark == mark)
}

func (l look) finished() bool { return l.database && l.role && l.databaseNote.Digest != "" }

// look reads the catalogs; it changes nothing.
func (s *Server) look(ctx context.Context, name string) (look, error) {
	var l look
	var oid *uint32
	var database, role *string
	row := s.admin.QueryRow(ctx, `
		SELECT d.oid, shobj_description(d.oid, 'pg_database'), r.oid IS NOT NULL, shobj_description(r.oid, 'pg_authid')
		FROM (SELECT $1::name AS name) n
		LEFT JOIN pg_database d ON d.datname = n.name
		LEFT JOIN pg_roles r ON r.rolname = n.name`, name)
	if err := row.Scan(&oid, &database, &l.role, &role); err != nil {
		return look{}, fmt.Errorf("look at %s: %w", name, err)
	}
	if oid != nil {
		l.database, l.oid = true, *oid
	}
	if database != nil {
		l.databaseNote, _ = parseNote(*database)
	}
	if role != nil {
		l.roleNote, _ = parseNote(*role)
	}
	return l, nil
}

// querier is a connection, a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// describe writes n as the comment of a thing ("DATABASE" or "ROLE").
func (s *Server) describe(ctx context.Context, thing, name string, n note) error {
	statement, err := describeStatement(ctx, s.admin, thing, name, n)
	if err != nil {
		return err
	}
	if _, err := s.admin.Exec(ctx, statement); err != nil {
		return fmt.Errorf("mark %s: %w", name, err)
	}
	return nil
}

// describeStatement lets the server quote, as COMMENT takes no parameters.
func describeStatement(ctx context.Context, q querier, thing, name string, n note) (string, error) {
	n.Flaresmith = noteVersion
	if n.Mark == (preview.Mark{}) {
		return "", errors.New("mark is empty")
	}
	text, err := json.Marshal(n)
	if err != nil {
		return "", fmt.Errorf("mark of %s: %w", name, err)
	}
	var statement string
	if err := q.QueryRow(ctx, `SELECT format('COMMENT ON `+thing+` %I IS %L', $1::text, $2::text)`, name, string(text)).Scan(&statement); err != nil {
		return "", fmt.Errorf("mark of %s: %w", name, err)
	}
	return statement, nil
}

// quote is name as an SQL identifier.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func checkName(r preview.Resource) error {
	if !preview.NamePattern.MatchString(r.Name) {
		return fmt.Errorf("database name %.80q is not one of ours", r.Name)
	}
	return nil
}
