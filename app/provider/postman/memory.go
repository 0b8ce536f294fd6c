package postman

import (
	"context"
	"maps"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// This file is what a Provider remembers from one call to the next, so that it need not ask again. Nothing depends on it: after a restart
// more is asked.

// noted is what was seen, and when.
type noted struct {
	state state
	at    time.Time
}

// notedFor is how long it counts: a pass looks at everything before it acts, and holds the environment's lease meanwhile.
const notedFor = 5 * time.Minute

// note keeps what was seen for an Apply that is to come, and else forgets what was seen before.
func (p *Provider) note(name string, s state, stale bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other, n := range p.noted {
		if other == name || time.Since(n.at) > notedFor {
			delete(p.noted, other)
		}
	}
	if stale {
		p.noted[name] = noted{s, time.Now()}
	}
}

// justSeen is what the pass's Observe saw, once, or what there is now.
func (p *Provider) justSeen(ctx context.Context, name string) (state, error) {
	p.mu.Lock()
	n, ok := p.noted[name]
	delete(p.noted, name)
	p.mu.Unlock()
	if ok && time.Since(n.at) <= notedFor {
		return n.state, nil
	}
	return p.look(ctx, name)
}

// knownUID is the environment of a name that was there at last; empty: none is known.
func (p *Provider) knownUID(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.uids[name]
}

// rememberUID keeps it for the next look; empty: there is none, or more than one.
func (p *Provider) rememberUID(name, uid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if uid == "" {
		delete(p.uids, name)
	} else {
		p.uids[name] = uid
	}
}

// owners are whose the things are that were seen.
func (p *Provider) owners() map[string]preview.Mark {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.owner)
}

// remember keeps the owners of what there is, and of nothing else.
func (p *Provider) remember(known map[string]preview.Mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owner = known
}
