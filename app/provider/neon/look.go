package neon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	// shareFor is how soon after the first look of a pass the others of the same pass join it.
	shareFor = 2 * time.Second
	// defaultFresh is how long what a pass has read still counts for its first write.
	defaultFresh = 10 * time.Second
)

// found is what there is of a resource: the finished branch, the one under construction, or nothing; and beside it all branches
// of the project at that moment.
type found struct {
	finished, draft *branch
	list            []branch
}

// find looks now, with one request.
func (p *Branches) find(ctx context.Context, name string) (found, error) {
	list, err := p.api.branches(ctx, "")
	if err != nil {
		return found{}, err
	}
	return p.within(list, name), nil
}

func (p *Branches) within(list []branch, name string) found {
	p.pin(list)
	f := found{list: list}
	for _, b := range list {
		switch b.Name {
		case name:
			f.finished = &b
		case unfinished(name):
			f.draft = &b
		}
	}
	return f
}

// glance is one look that all kinds of a resource share: a pass observes them at once, and each of them once.
type glance struct {
	began time.Time
	had   map[preview.Kind]bool // who joined; guarded by the lock of Branches
	done  chan struct{}
	found found
	err   error
}

// glance looks, or joins the look of the same pass. Writes do not begin from it, but for the creation of what it found
// missing; see seen.
func (p *Branches) glance(ctx context.Context, r preview.Resource) (found, error) {
	p.mu.Lock()
	g := p.glances[r.Name]
	mine := g == nil || g.had[r.Kind] || time.Since(g.began) > shareFor
	if mine {
		g = &glance{began: time.Now(), had: map[preview.Kind]bool{}, done: make(chan struct{})}
		p.glances[r.Name] = g
	}
	g.had[r.Kind] = true
	p.mu.Unlock()
	if mine {
		g.found, g.err = p.find(ctx, r.Name)
		close(g.done)
		if g.err != nil {
			p.unsee(r.Name)
		}
		return g.found, g.err
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return found{}, ctx.Err()
	}
	if g.err != nil { // it may be of the other's context alone
		return p.find(ctx, r.Name)
	}
	return g.found, nil
}

// seen is what the pass saw a moment ago where that is that there is nothing, once: should a branch have come meanwhile, its
// creation or its renaming is refused. Else it looks now.
func (p *Branches) seen(ctx context.Context, r preview.Resource) (found, error) {
	p.mu.Lock()
	g := p.glances[r.Name]
	delete(p.glances, r.Name)
	p.mu.Unlock()
	if g != nil && time.Since(g.began) < p.fresh {
		select {
		case <-g.done:
			if g.err == nil && g.found.finished == nil && g.found.draft == nil {
				return g.found, nil
			}
		default:
		}
	}
	return p.find(ctx, r.Name)
}

// unsee makes the next look a new one.
func (p *Branches) unsee(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.glances, name)
	delete(p.made, name)
}

// made is a branch that this process has just made, with what Neon answered to that.
type made struct {
	branch  branch
	compute endpoint
	parent  string // id
	at      time.Time
}

// handOver keeps what was made for the migrations of the same pass.
func (p *Branches) handOver(r preview.Resource, m made) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.at = time.Now()
	p.made[r.Name] = m
}

// takeOver is a branch that was made a moment ago, once, and is still what it should be by Neon's last answer about it.
func (p *Branches) takeOver(r preview.Resource) (made, bool) {
	p.mu.Lock()
	m, ok := p.made[r.Name]
	delete(p.made, r.Name)
	p.mu.Unlock()
	ok = ok && time.Since(m.at) < p.fresh && m.branch.Name == r.Name && p.owned(&m.branch, r.Mark)
	return m, ok
}

// pin keeps what the operator's names lead to when they are first seen. Names move, and whoever gives production's to another branch
// must not make the first one a preview's parent by that.
func (p *Branches) pin(list []branch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range p.named() {
		id := p.pinned[name]
		if id != "" && slices.ContainsFunc(list, func(b branch) bool { return b.ID == id }) {
			continue
		}
		delete(p.pinned, name) // it went, and may have been made anew
		if b, ok := lookUp(list, name); ok {
			p.pinned[name] = b.ID
		}
	}
}

// named are the operator's names for long-lived branches.
func (p *Branches) named() []string {
	return slices.AppendSeq(slices.Concat(p.forbidden, p.production), maps.Values(p.cores))
}

// longLived reports whether the operator names the branch, or named it before somebody renamed it.
func (p *Branches) longLived(b branch) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.named(), func(name string) bool { return b.ID == name || b.Name == name || b.ID == p.pinned[name] })
}

// Why a branch is no parent.
var (
	errProduction = errors.New("the parent is the production branch, which nothing is branched from")
	errProtected  = errors.New("the parent is protected at Neon, as production is, and nothing is branched from it: " +
		"name another branch as the parent, or take the protection away there")
	errNoProduction = errors.New("the branch that NEON_BRANCH_PROD names is not in the project: unless it is known which one production is, nothing is branched. " +
		"Was it renamed? An id stays the same")
	errRenamed = errors.New("another branch has this name than when the server started, and the first one is still there: " +
		"if that is meant, restart the server or name it by id")
	errOurs = errors.New("it is a preview's branch, whatever its name is now")
)

// parent is the branch that the operator's table names, among those that a pass has just seen. Either may be named by id or by
// name, and names move.
func (p *Branches) parent(list []branch, name string) (branch, error) {
	err := preview.ErrNotFound
	b, ok := lookUp(list, name)
	if ok {
		err = p.unfit(list, b, name)
	}
	if err != nil {
		return branch{}, fmt.Errorf("parent branch %q: %w", name, err)
	}
	return b, nil
}

// lookUp finds a branch by its id, or else by its name.
func lookUp(list []branch, name string) (branch, bool) {
	at := slices.IndexFunc(list, func(b branch) bool { return b.ID == name })
	if at < 0 {
		at = slices.IndexFunc(list, func(b branch) bool { return b.Name == name })
	}
	if at < 0 {
		return branch{}, false
	}
	return list[at], true
}

// unfit is why nothing may be branched from b, which is called name.
func (p *Branches) unfit(list []branch, b branch, name string) error {
	p.mu.Lock()
	unknown := slices.ContainsFunc(p.production, func(name string) bool { return p.pinned[name] == "" })
	p.mu.Unlock()
	switch {
	case unknown:
		return errNoProduction
	case p.isProduction(b):
		return errProduction
	case b.Protected:
		return errProtected
	}
	return p.strayed(list, b, name)
}

// strayed is why b, which the operator's name leads to now, is not the branch that was meant.
func (p *Branches) strayed(list []branch, b branch, name string) error {
	p.mu.Lock()
	first := p.pinned[name]
	p.mu.Unlock()
	switch {
	case first != b.ID && slices.ContainsFunc(list, func(other branch) bool { return other.ID == first }):
		return errRenamed
	case b.annotation[markProject] != "" && !fitsParent(b):
		return errOurs
	}
	return nil
}

// masked makes sure that a parent's data is masked if it is an anonymised branch: until then it is what it was copied from.
// Neon restricts what can be done with such a branch, so that others are not asked about.
func (p *Branches) masked(ctx context.Context, parent branch) error {
	const done = "anonymized"
	if len(parent.Restricted) == 0 {
		return nil
	}
	state, err := p.api.masking(ctx, parent.ID)
	switch {
	case status(err) == http.StatusNotFound:
		return nil
	case err != nil:
		return err
	case state != done:
		return preview.Transient(fmt.Errorf("parent branch %q: %w: Neon says %.40q", parent.Name, preview.ErrUnmasked, state))
	}
	return nil
}

// fitsParent reports whether a branch of ours is a core environment's. Those that were made before names were kept are told
// by the name that they have.
func fitsParent(b branch) bool {
	name := b.annotation[markName]
	if name == "" {
		name = b.Name
	}
	return preview.NamePattern.MatchString(name) && !strings.HasPrefix(name, "preview-")
}

func (p *Branches) isProduction(b branch) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.production, func(name string) bool { return b.Name == name || b.ID == name || b.ID == p.pinned[name] })
}
