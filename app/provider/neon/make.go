package neon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// unfinished is the name of a branch under construction. It does not match preview.NamePattern.
func unfinished(name string) string { return name + "_new" }

// make creates the branch and finishes it.
func (p *Branches) make(ctx context.Context, r preview.Resource, f found) (preview.Outputs, error) {
	m, err := p.build(ctx, r, f)
	switch {
	case errors.Is(err, preview.ErrConflict): // an earlier try that seemed to fail
		return p.resumeByName(ctx, r)
	case err != nil:
		return preview.Outputs{}, err
	}
	outputs, err := p.finish(ctx, r, &m.branch)
	if err == nil {
		p.handOver(r, m)
	}
	return outputs, err
}

// build creates the branch under its unfinished name, with passwords of its own. f is what was seen of the project just before.
func (p *Branches) build(ctx context.Context, r preview.Resource, f found) (made, error) {
	parent, err := p.parent(f.list, r.Parent)
	if err == nil {
		err = p.masked(ctx, parent)
	}
	if err != nil {
		return made{}, err
	}
	wish := creation{
		Branch:     creationBranch{ParentID: parent.ID, Name: unfinished(r.Name), InitSource: withData, ExpiresAt: expiry(r)},
		Endpoints:  []creationEndpoint{{Type: readWrite}},
		Annotation: map[string]string{markProject: r.Mark.Project, markEnvironment: r.Mark.Environment, markDigest: r.Digest, markName: r.Name, markComment: "yes"},
	}
	if r.SchemaOnly {
		wish.Branch.InitSource = schemaOnly
	}
	var answer created
	err = p.onceFree(ctx, wish.Branch.Name, func() (err error) {
		answer, err = p.api.create(ctx, wish)
		return err
	})
	if limited(err) {
		return made{}, p.noRoom(ctx, r.Mark.Project, err)
	}
	if err != nil {
		return made{}, err
	}
	m := made{branch: answer.Branch, parent: parent.ID}
	m.branch.annotation = wish.Annotation
	if m.compute, err = computeIn(answer.Endpoints, answer.Branch.ID); err != nil {
		return made{}, preview.Transient(err)
	}
	d, err := p.pick(answer.Databases)
	if err != nil {
		return made{}, err
	}
	inherited, err := answer.uri(d)
	if err != nil {
		return made{}, err
	}
	if !leadsTo(inherited, m.compute) {
		return made{}, errElsewhere
	}
	marked, err := p.await(ctx, r.Mark, inherited, answer.Operations)
	if err != nil {
		return made{}, err
	}
	password, err := p.renewPasswords(ctx, m.branch.ID, answer.Roles, d)
	if status(err) == http.StatusLocked { // its compute answers, and Neon has not noted that yet
		if err = p.wait(ctx, answer.Operations); err == nil {
			password, err = p.renewPasswords(ctx, m.branch.ID, answer.Roles, d)
		}
	}
	if err != nil {
		return made{}, err
	}
	own, err := withPassword(inherited, password)
	if err != nil {
		return made{}, err
	}
	p.remember(m.branch.ID, own)
	if !marked {
		err = p.mark(ctx, m.branch.ID, r.Mark)
	}
	return m, err
}

// onceFree does what needs a name that a branch had which was removed: it may be taken a little longer than the branch can be seen. Where
// one of that name can be seen, it is preview.ErrConflict.
func (p *Branches) onceFree(ctx context.Context, name string, do func() error) error {
	const within = 15 * time.Second
	for began := time.Now(); time.Since(began) < within; {
		err := do()
		if status(err) != http.StatusConflict {
			return err
		}
		list, err := p.api.branches(ctx, "")
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(b branch) bool { return b.Name == name }) {
			return fmt.Errorf("the name %s: %w", name, preview.ErrConflict)
		}
		if err := pause(ctx, p.look); err != nil {
			return err
		}
	}
	return preview.Transient(fmt.Errorf("a removed branch still has the name %s", name))
}

// resumeByName goes on with a branch whose creation was not answered.
func (p *Branches) resumeByName(ctx context.Context, r preview.Resource) (preview.Outputs, error) {
	f, err := p.find(ctx, r.Name)
	if err != nil {
		return preview.Outputs{}, err
	}
	if err := p.check(f, r.Mark); err != nil {
		return preview.Outputs{}, err
	}
	if f.draft == nil {
		return preview.Outputs{}, preview.Transient(errors.New("another branch of this name comes or goes"))
	}
	return p.resume(ctx, r, *f.draft)
}

// resume finishes a branch of an earlier try, wherever that ended, or one that somebody reset. Only what is under construction is given up.
func (p *Branches) resume(ctx context.Context, r preview.Resource, b branch) (preview.Outputs, error) {
	p.forget(b.ID)
	now, err := p.settled(ctx, b.ID)
	switch {
	case err != nil:
		return preview.Outputs{}, err
	case now.resetting():
		return preview.Outputs{}, errResetting
	case now.State != "ready" && now.Name != unfinished(r.Name):
		return preview.Outputs{}, errNotReady
	case now.State != "ready":
		return preview.Outputs{}, errors.Join(errNotReady, p.remove(ctx, b))
	}
	b.ResetAt = now.ResetAt
	roles, err := p.api.roles(ctx, b.ID)
	if err != nil {
		return preview.Outputs{}, err
	}
	d, err := p.ofPreviews(ctx, b.ID)
	if err != nil {
		return preview.Outputs{}, err
	}
	if _, err := p.renewPasswords(ctx, b.ID, roles, d); err != nil {
		return preview.Outputs{}, err
	}
	if b.annotation[markComment] != "" {
		if err := p.mark(ctx, b.ID, r.Mark); err != nil {
			return preview.Outputs{}, err
		}
	}
	return p.finish(ctx, r, &b)
}

// finish gives the branch its name: from then on it is one. b becomes what it is then, but for a reset since its passwords were renewed,
// which they would not be after.
func (p *Branches) finish(ctx context.Context, r preview.Resource, b *branch) (preview.Outputs, error) {
	outputs, err := p.outputs(ctx, *b)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return preview.Outputs{}, err
	}
	var named branch
	err = p.onceFree(ctx, r.Name, func() (err error) {
		// Once it has begun it goes to its end: who is told that nothing is finished may count on it.
		named, err = p.api.rename(context.WithoutCancel(ctx), b.ID, r.Name)
		return err
	})
	if err != nil {
		return preview.Outputs{}, err
	}
	if named.ID == b.ID { // else the answer is none of Neon's
		named.annotation, named.ResetAt = b.annotation, b.ResetAt
		*b = named
	}
	return outputs, p.noteReset(ctx, *b)
}

var (
	errResetting = preview.Transient(errors.New("the branch is being reset just now"))
	errNotReady  = preview.Transient(errors.New("neon does not have the branch ready"))
)

// renewed reports whether the passwords were renewed since the last reset. Somebody else's reset, as at Neon's console, brings the parent's,
// also while it goes on.
func (p *Branches) renewed(ctx context.Context, b branch) (bool, error) {
	switch {
	case b.resetting():
		return false, nil
	case b.ResetAt.IsZero():
		return true, nil
	}
	compute, err := p.api.compute(ctx, b.ID)
	return err == nil && strings.HasSuffix(compute.Name, "-"+lastReset(b)), err
}

// noteReset notes in the name of the branch's compute that the passwords were renewed after the last reset.
func (p *Branches) noteReset(ctx context.Context, b branch) error {
	if b.ResetAt.IsZero() {
		return nil
	}
	compute, err := p.api.compute(ctx, b.ID)
	if err == nil && !strings.HasSuffix(compute.Name, "-"+lastReset(b)) {
		err = p.api.nameCompute(ctx, compute.ID, noRecord+lastReset(b))
	}
	return err
}

// reset makes the branch again from its parent. Its address stays; its passwords become the parent's until they
// are renewed, so it is under construction meanwhile.
func (p *Branches) reset(ctx context.Context, r preview.Resource, b branch) (preview.Outputs, error) {
	if err := p.onceFree(ctx, unfinished(r.Name), func() error {
		_, err := p.api.rename(ctx, b.ID, unfinished(r.Name))
		return err
	}); err != nil {
		return preview.Outputs{}, err
	}
	return p.restore(ctx, r, b)
}

func (p *Branches) restore(ctx context.Context, r preview.Resource, b branch) (preview.Outputs, error) {
	if err := p.settle(ctx, b.ID); err != nil {
		return preview.Outputs{}, err
	}
	if _, err := p.api.restore(ctx, b.ID, b.ParentID); err != nil {
		return preview.Outputs{}, err
	}
	outputs, err := p.resume(ctx, r, b)
	if err == nil {
		err = p.renewExpiry(ctx, b.ID, r) // Neon begins it anew
	}
	return outputs, err
}

// renewPasswords gives every role that has a password another one than the parent's, and returns that of the database's owner, as whom
// everybody logs in.
func (p *Branches) renewPasswords(ctx context.Context, id string, roles []role, d database) (own preview.Secret, err error) {
	for _, role := range roles {
		if role.passwordless() {
			continue
		}
		password, err := p.api.resetPassword(ctx, id, role.Name)
		if err != nil {
			return "", fmt.Errorf("password of %s: %w", role.Name, err)
		}
		if role.Name == d.Owner {
			own = password
		}
	}
	if own == "" {
		return "", fmt.Errorf("the role %.63q, which owns the database, has no password at Neon", d.Owner)
	}
	return own, nil
}
