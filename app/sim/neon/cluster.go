package neon

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/embedded"
)

// startCluster starts a branch's cluster, as a copy of its parent's if it has one.
func (s *Server) startCluster(ctx context.Context, name string, parent *embedded.Postgres) (*embedded.Postgres, error) {
	return embedded.StartPostgres(ctx, embedded.PostgresOptions{BinDir: s.cfg.BinDir, DataDir: s.folder(name), Copyable: true, CopyOf: parent,
		Certificate: s.tls.certificate, Key: s.tls.key})
}

// stopCluster ends a branch's cluster and removes its files.
func (s *Server) stopCluster(ctx context.Context, name string, cluster *embedded.Postgres) error {
	if cluster == nil {
		return nil
	}
	if err := cluster.Stop(ctx); err != nil {
		return err
	}
	return os.RemoveAll(s.folder(name))
}

// populate gives a fresh root cluster what a project begins with. neon_superuser is no superuser; it stands for
// what Neon grants to the roles that its API makes.
func populate(ctx context.Context, root *branch) error {
	if err := execute(ctx, root.cluster, "postgres", `CREATE ROLE neon_superuser NOLOGIN CREATEDB CREATEROLE BYPASSRLS`,
		`GRANT pg_read_all_data, pg_write_all_data TO neon_superuser`); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(root.roles)) {
		if err := createRole(ctx, root.cluster, name, root.roles[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(root.databases)) {
		if err := execute(ctx, root.cluster, "postgres", `CREATE DATABASE `+quote(name)+` OWNER `+quote(root.databases[name])); err != nil {
			return err
		}
	}
	return nil
}

func createRole(ctx context.Context, cluster *embedded.Postgres, name, password string) error {
	return execute(ctx, cluster, "postgres",
		`CREATE ROLE `+quote(name)+` LOGIN CREATEDB CREATEROLE BYPASSRLS PASSWORD '`+password+`'`, `GRANT neon_superuser TO `+quote(name))
}

func createRoleWithoutLogin(ctx context.Context, cluster *embedded.Postgres, name string) error {
	return execute(ctx, cluster, "postgres", `CREATE ROLE `+quote(name)+` NOLOGIN`)
}

func setPassword(ctx context.Context, cluster *embedded.Postgres, role, password string) error {
	return execute(ctx, cluster, "postgres", `ALTER ROLE `+quote(role)+` PASSWORD '`+password+`'`)
}

// execute runs statements as the cluster's superuser.
func execute(ctx context.Context, cluster *embedded.Postgres, database string, statements ...string) error {
	address, err := url.Parse(cluster.URL().Reveal())
	if err != nil {
		return fmt.Errorf("address of a cluster can't be parsed")
	}
	address.Path = "/" + database
	conn, err := pgx.Connect(ctx, address.String())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// newPassword looks like Neon's and needs no quoting anywhere.
func newPassword() string { return "npg_" + rand.Text()[:20] }
