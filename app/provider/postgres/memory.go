package postgres

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

// memory is what this process alone knows of a branch. It is written nowhere, so that a restart
// forgets it and the next Apply makes it anew.
type memory struct {
	password preview.Secret
	schema   *schemaMemory // nil: unknown
}

// schemaMemory is the result of the last finished schema Apply in the database with this oid.
type schemaMemory struct {
	oid     uint32
	digest  string
	applied []migrator.Row // in the branch: the parent's and its own
	outputs preview.Outputs
}

func (s *Server) recall(name string) memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.branches[name]
}

func (s *Server) remember(name string, change func(*memory)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.branches[name]
	change(&m)
	s.branches[name] = m
}

func (s *Server) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.branches, name)
}

// gates keeps our own readers of a parent and a copy of it apart: a reader's session would make the
// parent busy. Sessions of others are dealt with by the copy itself.
type gates struct {
	mu sync.Mutex
	by map[string]*semaphore.Weighted
}

const gateWidth = 1 << 20

func (g *gates) gate(parent string) *semaphore.Weighted {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.by == nil {
		g.by = map[string]*semaphore.Weighted{}
	}
	if g.by[parent] == nil {
		g.by[parent] = semaphore.NewWeighted(gateWidth)
	}
	return g.by[parent]
}

// read waits while the parent is copied. Call the result when done.
func (g *gates) read(ctx context.Context, parent string) (func(), error) {
	return g.enter(ctx, parent, 1)
}

// copy waits for readers and other copies.
func (g *gates) copy(ctx context.Context, parent string) (func(), error) {
	return g.enter(ctx, parent, gateWidth)
}

func (g *gates) enter(ctx context.Context, parent string, weight int64) (func(), error) {
	gate := g.gate(parent)
	if err := gate.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	return func() { gate.Release(weight) }, nil
}
