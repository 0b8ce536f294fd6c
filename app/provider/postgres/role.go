package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

const scramIterations = 4096 // PostgreSQL's own default

// ensureRole makes or repairs the role of a branch and gives it a password that this process
// knows. l was looked up before and is ours or absent. afresh also takes back what the role set for itself.
func (s *Server) ensureRole(ctx context.Context, r preview.Resource, l look, afresh bool) (preview.Secret, error) {
	password := s.recall(r.Name).password
	if l.role && password != "" && !afresh {
		return password, nil
	}
	inherited := l.role && password == ""
	if password == "" {
		password = preview.Secret(rand.Text() + rand.Text())
	}
	if err := s.writeRole(ctx, r, password, !l.role); err != nil {
		return "", fmt.Errorf("role %s: %w", r.Name, err)
	}
	if inherited {
		if err := s.endInherited(ctx, r.Name); err != nil {
			return "", fmt.Errorf("role %s: %w", r.Name, err)
		}
	}
	s.remember(r.Name, func(m *memory) { m.password = password })
	return password, nil
}

// endInherited ends the sessions that a killed process left: nobody of this one knew a password
// yet. The server itself does not notice while a statement runs that its client is gone, so that
// a migration would go on without its watchdog and hold its locks against the next one.
func (s *Server) endInherited(ctx context.Context, name string) error {
	if _, err := s.admin.Exec(ctx, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1`, name); err != nil {
		return fmt.Errorf("end sessions of a server before: %w", err)
	}
	return nil
}

// writeRole makes the role, with its mark, in one transaction, so that a role of ours never lacks it.
func (s *Server) writeRole(ctx context.Context, r preview.Resource, password preview.Secret, create bool) error {
	verifier, err := scramVerifier(password)
	if err != nil {
		return err
	}
	verb := "ALTER"
	if create {
		verb = "CREATE"
	}
	role, limits := quote(r.Name), s.config.Limits
	// The server gets a verifier, never the password, which would end in its log.
	statements := []string{
		fmt.Sprintf(`%s ROLE %s WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT CONNECTION LIMIT %d PASSWORD '%s'`,
			verb, role, limits.Connections, verifier),
		`ALTER ROLE ` + role + ` RESET ALL`,
		fmt.Sprintf(`ALTER ROLE %s SET temp_file_limit = %d`, role, limits.TempFileKB),
		// A default that the role may change: a forgotten transaction would hold up the next migration.
		`ALTER ROLE ` + role + ` SET idle_in_transaction_session_timeout = '1min'`,
	}
	return pgx.BeginFunc(ctx, s.admin, func(tx pgx.Tx) error {
		mark, err := describeStatement(ctx, tx, "ROLE", r.Name, note{Mark: r.Mark})
		if err != nil {
			return err
		}
		for _, statement := range append(statements, mark) {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// dropRole removes a role of ours and what little it may hold outside its database.
func (s *Server) dropRole(ctx context.Context, name string) error {
	return pgx.BeginFunc(ctx, s.admin, func(tx pgx.Tx) error {
		for _, statement := range []string{`DROP OWNED BY ` + quote(name), `DROP ROLE ` + quote(name)} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				if migrator.Code(err) == codeUndefinedObject {
					return nil
				}
				return fmt.Errorf("drop role %s: %w", name, err)
			}
		}
		return nil
	})
}

// scramVerifier is what PostgreSQL stores of a password (RFC 5803); it can't be used to log in.
func scramVerifier(password preview.Secret) (string, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, password.Reveal(), salt, scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive verifier: %w", err)
	}
	stored := sha256.Sum256(keyed(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, encode(salt), encode(stored[:]), encode(keyed(salted, "Server Key"))), nil
}

func keyed(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
