package neon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// roomFor is how long a refusal counts: others may delete branches of the project's, unseen by us.
const roomFor = 10 * time.Minute

// room is how many previews one of our projects had when Neon's project was full.
type room struct {
	previews int
	at       time.Time
}

// limited reports whether the project has as many branches as it may.
func limited(err error) bool {
	var api *apiError
	return errors.As(err, &api) && api.Code == "BRANCHES_LIMIT_EXCEEDED"
}

// noRoom notes how many previews there are of one of our projects, which is all that it can have for now, and makes the
// refusal preview.ErrNoRoom. A long-lived environment's own branch takes room as well, and is none of them.
func (p *Branches) noRoom(ctx context.Context, project string, refusal error) error {
	list, err := p.api.branches(ctx, "")
	if err != nil {
		return err
	}
	names := map[string]bool{} // one under construction and the one that it replaces are of one environment
	for _, b := range list {
		if b.annotation[markProject] == project && !fitsParent(b) {
			names[b.annotation[markEnvironment]] = true
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rooms[project] = room{previews: len(names), at: time.Now()}
	return preview.Transient(fmt.Errorf("%w: %w", preview.ErrNoRoom, refusal))
}

// Headroom implements the reconciler's.
func (p *Branches) Headroom(project string) (environments int, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.rooms[project]
	return r.previews, ok && time.Since(r.at) < roomFor
}

// forgetRooms is for a branch that went: there is room for another.
func (p *Branches) forgetRooms() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.rooms)
}
