package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/reconcile"
)

// cloud is an outside system in memory for all kinds: it keeps what was applied with its mark,
// counts writes and can be made to fail or wait.
type cloud struct {
	slow atomic.Int64 // how long each look takes, nanoseconds

	mu     sync.Mutex
	items  map[preview.Kind]map[string]cloudItem
	writes []string // "apply database preview-…", in order
	// destructive is what is said of the pending migrations.
	destructive []preview.Problem
	// before is asked before each write; an error is the write's answer.
	before func(ctx context.Context, op string, r preview.Resource) error
	// after is asked when a write is done; an error is its answer all the same. nil: nothing is said.
	after func(op string, r preview.Resource) error
	// looked is called at each look.
	looked func(ctx context.Context, kind preview.Kind)
	hidden []preview.Kind // can't be looked at
	hiding error          // why
	login  string         // tells the database's password from others; empty: nobody changes it
}

type cloudItem struct {
	mark   preview.Mark
	digest string
	sha    string
}

func newCloud() *cloud {
	c := &cloud{items: map[preview.Kind]map[string]cloudItem{}, before: func(context.Context, string, preview.Resource) error { return nil },
		looked: func(context.Context, preview.Kind) {}}
	for _, kind := range preview.Kinds() {
		c.items[kind] = map[string]cloudItem{}
	}
	return c
}

func (c *cloud) providers() map[preview.Kind]reconcile.Provider {
	providers := map[preview.Kind]reconcile.Provider{}
	for _, kind := range preview.Kinds() {
		providers[kind] = cloudProvider{cloud: c, kind: kind}
	}
	return providers
}

// fail sets what happens before each write.
func (c *cloud) fail(before func(ctx context.Context, op string, r preview.Resource) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before = before
}

// lose sets what a write answers after it was done.
func (c *cloud) lose(after func(op string, r preview.Resource) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = after
}

// watch sets what is called at each look.
func (c *cloud) watch(looked func(ctx context.Context, kind preview.Kind)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = looked
}

// hide lets nothing of some kinds be looked at, as while their providers are away.
func (c *cloud) hide(why error, kinds ...preview.Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hidden, c.hiding = kinds, why
}

// relogin gives the databases another password.
func (c *cloud) relogin(login string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.login = login
}

// times is how often something was written.
func (c *cloud) times(write string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, w := range c.writes {
		if w == write {
			n++
		}
	}
	return n
}

// names lists what exists of a kind.
func (c *cloud) names(kind preview.Kind) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name := range c.items[kind] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// sha is the commit that a Worker runs; empty: there is none.
func (c *cloud) sha(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.items[preview.KindWorker][name].sha
}

// count is how many writes there were.
func (c *cloud) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.writes)
}

func (c *cloud) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, items := range c.items {
		n += len(items)
	}
	return n
}

// cloudProvider is one kind of a cloud; it implements reconcile.Provider.
type cloudProvider struct {
	cloud *cloud
	kind  preview.Kind
}

func (p cloudProvider) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	if wait := time.Duration(p.cloud.slow.Load()); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return preview.Observed{}, ctx.Err()
		}
	}
	p.cloud.mu.Lock()
	looked := p.cloud.looked
	p.cloud.mu.Unlock()
	looked(ctx, p.kind)
	p.cloud.mu.Lock()
	defer p.cloud.mu.Unlock()
	if slices.Contains(p.cloud.hidden, p.kind) {
		return preview.Observed{}, p.cloud.hiding
	}
	item, ok := p.cloud.items[p.kind][r.Name]
	return preview.Observed{Exists: ok, Owned: ok && item.mark == r.Mark, Digest: item.digest, Outputs: p.outputs(r, ok)}, nil
}

func (p cloudProvider) outputs(r preview.Resource, ok bool) preview.Outputs {
	switch {
	case !ok:
		return preview.Outputs{}
	case p.kind == preview.KindDatabase:
		return preview.Outputs{DatabaseURL: "postgres://role:hunter2@db/" + preview.Secret(r.Name), DatabaseName: r.Name, LoginDigest: p.cloud.login}
	case p.kind == preview.KindSchema:
		return preview.Outputs{Warnings: p.cloud.destructive}
	case p.kind == preview.KindWorker:
		return preview.Outputs{URL: "http://" + r.Name + ".localhost/"}
	}
	return preview.Outputs{}
}

func (p cloudProvider) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	if err := p.ask(ctx, "apply", r); err != nil {
		return preview.Outputs{}, err
	}
	if p.kind == preview.KindWorker && (in.Bundle == nil || in.Outputs.DatabaseURL == "") {
		return preview.Outputs{}, fmt.Errorf("worker %s: no bundle or no database", r.Name)
	}
	p.cloud.mu.Lock()
	defer p.cloud.mu.Unlock()
	if p.kind == preview.KindSchema && len(p.cloud.destructive) > 0 && r.RequireApproval && !r.Approved {
		return preview.Outputs{}, &preview.ApprovalError{Problems: p.cloud.destructive}
	}
	p.cloud.items[p.kind][r.Name] = cloudItem{mark: r.Mark, digest: r.Digest, sha: r.SHA}
	if p.cloud.after != nil {
		if err := p.cloud.after("apply", r); err != nil {
			return preview.Outputs{}, err
		}
	}
	return p.outputs(r, true), nil
}

func (p cloudProvider) Delete(ctx context.Context, r preview.Resource) error {
	if err := p.ask(ctx, "delete", r); err != nil {
		return err
	}
	p.cloud.mu.Lock()
	defer p.cloud.mu.Unlock()
	delete(p.cloud.items[p.kind], r.Name)
	if p.cloud.after != nil {
		return p.cloud.after("delete", r)
	}
	return nil
}

func (p cloudProvider) List(context.Context) ([]preview.Found, error) {
	p.cloud.mu.Lock()
	defer p.cloud.mu.Unlock()
	var found []preview.Found
	for name, item := range p.cloud.items[p.kind] {
		found = append(found, preview.Found{Kind: p.kind, Name: name, Mark: item.mark})
	}
	slices.SortFunc(found, func(a, b preview.Found) int { return len(a.Name) - len(b.Name) })
	return found, nil
}

func (p cloudProvider) ask(ctx context.Context, op string, r preview.Resource) error {
	p.cloud.mu.Lock()
	before := p.cloud.before
	p.cloud.mu.Unlock()
	if err := before(ctx, op, r); err != nil {
		return err
	}
	p.cloud.mu.Lock()
	defer p.cloud.mu.Unlock()
	p.cloud.writes = append(p.cloud.writes, fmt.Sprintf("%s %s %s", op, p.kind, r.Name))
	return nil
}
