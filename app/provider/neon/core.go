package neon

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// A long-lived environment has the branch that the operator names for it. That one is found, claimed, migrated and bound to the
// environment's Worker; it is never made, renamed, reset, ended or deleted, and its passwords stay as they are.

var errKept = errors.New("a long-lived environment's branch is the operator's, and is never deleted")

// core is the branch of the resource's environment among those that a pass has just seen, and whose it is; zero: nobody's yet. It is
// preview.ErrConflict where it is another environment's.
func (p *Branches) core(ctx context.Context, list []branch, r preview.Resource) (branch, preview.Mark, error) {
	b, err := p.coreIn(list, r.LongLived)
	if err != nil {
		return branch{}, preview.Mark{}, err
	}
	mark, err := p.claimant(ctx, b)
	if err == nil && mark != r.Mark && mark != (preview.Mark{}) {
		err = taken(b)
	}
	return b, mark, err
}

// taken is what is said of a branch that is another environment's.
func taken(b branch) error {
	return unusable(b.Name, "is another environment's already, as the comment on its database says", preview.ErrConflict)
}

// unusable is for people to read, who may know which branch was meant.
func unusable(name, why string, cause error) error {
	return errors.Join(cause, preview.Invalid("the environment's branch at Neon can't be used", preview.Problem{
		Message: fmt.Sprintf("the branch %q, which the operator names for this environment, %s", name, why),
		Hint:    "the operator names a branch of the project in NEON_BRANCH_DEV, NEON_BRANCH_STAGING or NEON_BRANCH_PROD, another one for each environment of each repository",
	}))
}

// coreIn is a branch of the operator's.
func (p *Branches) coreIn(list []branch, name string) (branch, error) {
	b, ok := lookUp(list, name)
	if !ok {
		return branch{}, unusable(name, "is not in the project", preview.ErrNotFound)
	}
	if err := p.strayed(list, b, name); err != nil {
		return branch{}, unusable(name, "can't be it: "+err.Error(), err)
	}
	if p.isProduction(b) && name != p.cores[preview.EnvironmentProd] {
		return branch{}, unusable(name, "is production", errProduction)
	}
	return b, nil
}

// observeCore is an error where the branch is another environment's: the resource's own name says nothing about the operator's branch.
func (p *Branches) observeCore(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	f, err := p.glance(ctx, r)
	if err != nil {
		return preview.Observed{}, err
	}
	b, mark, err := p.core(ctx, f.list, r)
	if err != nil {
		return preview.Observed{}, err
	}
	observed := preview.Observed{Exists: true, Owned: true}
	if observed.Outputs, err = p.coreOutputs(ctx, b); err != nil {
		return preview.Observed{}, err
	}
	if mark == r.Mark {
		observed.Digest = r.Digest
	}
	return observed, nil
}

// applyCore makes the branch the environment's, if it is nobody's yet.
func (p *Branches) applyCore(ctx context.Context, r preview.Resource) (preview.Outputs, error) {
	f, err := p.find(ctx, r.Name)
	if err != nil {
		return preview.Outputs{}, err
	}
	b, err := p.coreIn(f.list, r.LongLived)
	if err != nil {
		return preview.Outputs{}, err
	}
	if err := p.claim(ctx, b, r.Mark); err != nil {
		return preview.Outputs{}, err
	}
	return p.coreOutputs(ctx, b)
}

// coreOutputs asks for the password of today: others than we change it, and a Worker that got the last one would reach nothing.
func (p *Branches) coreOutputs(ctx context.Context, b branch) (preview.Outputs, error) {
	p.forgetURL(b.ID)
	outputs, err := p.outputs(ctx, b)
	outputs.DatabaseMarked, outputs.LoginDigest = true, p.loginDigest(outputs.DatabaseURL)
	return outputs, err
}

// loginDigest is a connection string's, kept beside it. Nobody without the API's key can try passwords on it.
func (p *Branches) loginDigest(uri preview.Secret) string {
	const bytes = 16
	sum := hmac.New(sha256.New, []byte(p.api.key.Reveal()))
	_, _ = io.WriteString(sum, uri.Reveal()) // a hash never fails
	return hex.EncodeToString(sum.Sum(nil)[:bytes])
}

// claimant is whose the branch's database says that it is; zero: nobody's. What it said of an environment stays true until the
// branch is reset, and is asked once, because asking starts a compute that sleeps.
func (p *Branches) claimant(ctx context.Context, b branch) (preview.Mark, error) {
	p.mu.Lock()
	known, ok := p.claims[claimKey(b)]
	p.mu.Unlock()
	if ok {
		return known, nil
	}
	var c claim
	err := p.inDatabase(ctx, b.ID, func(ctx context.Context, conn *pgx.Conn) (err error) {
		c, err = readClaim(ctx, conn, b)
		return err
	})
	if err == nil && c.Mark != (preview.Mark{}) {
		p.keepClaim(b, c.Mark)
	}
	return c.Mark, err
}

// claimLock is the advisory lock that those who claim a branch take in its database, so that of two at once one is told of the other.
const claimLock int64 = 0x666c617265

// claim makes the branch an environment's. One that is another environment's already is preview.ErrConflict.
func (p *Branches) claim(ctx context.Context, b branch, m preview.Mark) error {
	err := p.inDatabase(ctx, b.ID, func(ctx context.Context, conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT pg_catalog.pg_advisory_xact_lock($1)`, claimLock); err != nil {
				return err
			}
			c, err := readClaim(ctx, conn, b)
			switch {
			case err != nil || c.Mark == m:
				return err
			case c.Mark != (preview.Mark{}):
				return taken(b)
			}
			c.Mark, c.Branch = m, b.ID
			return writeComment(ctx, conn, c)
		})
	})
	if err == nil {
		p.keepClaim(b, m)
	}
	return err
}

func (p *Branches) keepClaim(b branch, m preview.Mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims[claimKey(b)] = m
}

// claimKey is another one after a reset, which brings the parent's comment.
func claimKey(b branch) string { return b.ID + " " + b.ResetAt.String() }

// claim is the comment on the database of a branch of the operator's, as JSON.
type claim struct {
	Mark preview.Mark `json:"mark"`
	// Branch is the id of the branch that was claimed: a copy of it has the comment, too, and is nobody's.
	Branch string `json:"branch"`
	// Comment is what the operator wrote there.
	Comment string `json:"comment,omitempty"`
}

// readClaim reads the comment; one that is no claim of this branch is only kept.
func readClaim(ctx context.Context, conn *pgx.Conn, b branch) (c claim, err error) {
	var comment string
	if err := conn.QueryRow(ctx, `SELECT coalesce(pg_catalog.shobj_description(oid, 'pg_database'), '') FROM pg_catalog.pg_database
		WHERE datname = pg_catalog.current_database()`).Scan(&comment); err != nil {
		return claim{}, err
	}
	if json.Unmarshal([]byte(comment), &c) != nil || c.Mark == (preview.Mark{}) {
		return claim{Comment: comment}, nil
	}
	if c.Branch != b.ID {
		return claim{Comment: c.Comment}, nil
	}
	return c, nil
}
