package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	minVersion    = 150000          // server_version_num
	callTimeout   = 2 * time.Minute // of what is neither a copy nor a migration
	adminSessions = 12              // at most, in the administrator's database
)

// PGDumpOff as Config.PGDump keeps the provider from using pg_dump.
const PGDumpOff = "off"

// Config is what New needs. AdminURL is the one field without a default.
type Config struct {
	// AdminURL is the postgres:// URL of a superuser, with the database to work from.
	AdminURL preview.Secret
	// Limits of every branch's role.
	Limits Limits
	// MigrationTimeout bounds one run of all pending migrations and the seed. Default: one minute.
	MigrationTimeout time.Duration
	// CopyTimeout bounds one copy of a parent. Default: ten minutes.
	CopyTimeout time.Duration
	// PGDump is the path of pg_dump, with pg_restore beside it, for parents that are in use.
	// Empty: look for both in PATH. PGDumpOff: never.
	PGDump string
	// Untouched leaves who may connect as it is: nothing will run in the branches.
	Untouched bool
	Logger    *slog.Logger // default: slog.Default()
}

// Limits bound what one branch's role may take from the server. It can't raise them itself.
type Limits struct {
	Connections int // concurrent sessions of the role; default 20
	TempFileKB  int // temporary files of one session, in kB; default 262144 (256 MB)
	// GrowthMB is what a preview's database may have beyond its parent's size while it is migrated, unless twice that
	// size is more; a core environment's, beyond what it has before a run. With its Worker's writes a preview's may
	// have twice that, see CloseOvergrown. Default 1024.
	GrowthMB int
}

// Server is one PostgreSQL server that branches live on. It is safe for concurrent use.
type Server struct {
	config  Config
	admin   *pgxpool.Pool
	version int // server_version_num
	dump    *dumpTools
	log     *slog.Logger

	parents gates

	mu       sync.Mutex
	branches map[string]memory // by branch name
}

// New connects to the server, checks that it is recent enough and that the user is a superuser,
// and revokes CONNECT from PUBLIC on every database unless it is to be untouched. An unreachable server is a transient error.
func New(ctx context.Context, config Config) (*Server, error) {
	config = withDefaults(config)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pool, err := pgxpool.ParseConfig(config.AdminURL.Reveal())
	if err != nil {
		return nil, errors.New("postgres admin URL: malformed") // err holds parts of the URL
	}
	migrator.Harden(pool.ConnConfig)
	pool.MaxConns = adminSessions
	admin, err := pgxpool.NewWithConfig(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("postgres admin pool: %w", migrator.Classify(err))
	}
	s := &Server{config: config, admin: admin, log: config.Logger, branches: map[string]memory{}}
	if err := s.prepare(ctx); err != nil {
		admin.Close()
		return nil, fmt.Errorf("postgres server %s: %w", s.address(), migrator.Classify(err))
	}
	return s, nil
}

// Close ends the administrator's sessions. Branches stay.
func (s *Server) Close() { s.admin.Close() }

// Branches is the provider of KindDatabase on this server.
func (s *Server) Branches() *Branches { return &Branches{server: s} }

// Schema is the provider of KindSchema on this server.
func (s *Server) Schema() *Schema { return &Schema{server: s} }

func withDefaults(c Config) Config {
	if c.Limits.Connections <= 0 {
		c.Limits.Connections = 20
	}
	if c.Limits.TempFileKB <= 0 {
		c.Limits.TempFileKB = 256 << 10
	}
	if c.Limits.GrowthMB <= 0 {
		c.Limits.GrowthMB = 1024
	}
	if c.MigrationTimeout <= 0 {
		c.MigrationTimeout = time.Minute
	}
	if c.CopyTimeout <= 0 {
		c.CopyTimeout = 10 * time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// prepare checks the server and closes its databases to PUBLIC.
func (s *Server) prepare(ctx context.Context) error {
	var super bool
	row := s.admin.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, rolsuper FROM pg_roles WHERE rolname = current_user`)
	if err := row.Scan(&s.version, &super); err != nil {
		return fmt.Errorf("ask for version: %w", err)
	}
	if s.version < minVersion {
		return fmt.Errorf("is version %d, needs 15 or newer", s.version/10000)
	}
	if !super {
		return errors.New("the user of the URL is no superuser, which makes roles and databases")
	}
	s.dump = findDumpTools(ctx, s.config.PGDump, s.version/10000)
	if s.config.Untouched {
		return nil
	}
	return s.closeToPublic(ctx)
}

// adminConfig is how the administrator connects to one database.
func (s *Server) adminConfig(database string) *pgx.ConnConfig {
	c := s.admin.Config().ConnConfig
	c.Database = database
	return c
}

// roleConfig is how a branch's role connects to its database.
func (s *Server) roleConfig(name string, password preview.Secret) *pgx.ConnConfig {
	c := s.adminConfig(name)
	c.User, c.Password = name, password.Reveal()
	return c
}

func (s *Server) address() string {
	c := s.admin.Config().ConnConfig
	return net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
}

// url is the connection string of a branch's role.
func (s *Server) url(name string, password preview.Secret) preview.Secret {
	c := s.admin.Config().ConnConfig
	u := url.URL{Scheme: "postgres", User: url.UserPassword(name, password.Reveal()), Path: "/" + name, Host: s.address()}
	q := url.Values{}
	if strings.HasPrefix(c.Host, "/") { // a socket's folder
		u.Host = ""
		q.Set("host", c.Host)
		q.Set("port", strconv.Itoa(int(c.Port)))
	}
	for key, value := range s.tlsParameters() {
		q.Set(strings.ToLower(key), value)
	}
	u.RawQuery = q.Encode()
	return preview.Secret(u.String())
}

// tlsParameters are those of the admin URL that say how to trust the server, by upper-case name.
func (s *Server) tlsParameters() map[string]string {
	parameters := map[string]string{}
	given, err := url.Parse(s.config.AdminURL.Reveal())
	if err != nil {
		return parameters // a keyword=value string: the defaults apply
	}
	for _, key := range []string{"sslmode", "sslrootcert"} {
		if v := given.Query().Get(key); v != "" {
			parameters[strings.ToUpper(key)] = v
		}
	}
	return parameters
}
