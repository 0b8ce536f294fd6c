package build

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sync/singleflight"
)

// pack is one npm package: its files by path, without the top folder. It never changes, but for
// the verdicts.
type pack struct {
	files map[string]string
	size  int64
	// verdicts remembers, by file, what computedImport said.
	verdicts sync.Map
}

// store keeps unpacked packages by name, version and integrity, the most recently used ones.
type store struct {
	fetch  fetcher
	limits Limits
	flight singleflight.Group

	mu    sync.Mutex
	packs map[string]*list.Element // of *kept
	order list.List                // newest first
	size  int64
}

type kept struct {
	key  string
	pack *pack
}

func newStore(fetch fetcher, limits Limits) *store {
	return &store{fetch: fetch, limits: limits, packs: map[string]*list.Element{}}
}

// get returns a package, from memory or from the fetcher. Callers that ask for the same package
// at once share one fetch.
func (s *store) get(ctx context.Context, name, version, integrity string) (*pack, error) {
	key := name + "@" + version + " " + integrity
	for {
		if p := s.recall(key); p != nil {
			return p, nil
		}
		done := s.flight.DoChan(key, func() (any, error) { return s.load(ctx, key, name, version, integrity) })
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case result := <-done:
			if result.Err == nil {
				return result.Val.(*pack), nil
			}
			// The fetch ran with the context of whoever asked first; that one's end is not ours.
			if ctx.Err() == nil && (errors.Is(result.Err, context.Canceled) || errors.Is(result.Err, context.DeadlineExceeded)) && result.Shared {
				continue
			}
			return nil, result.Err
		}
	}
}

func (s *store) recall(key string) *pack {
	s.mu.Lock()
	defer s.mu.Unlock()
	element, ok := s.packs[key]
	if !ok {
		return nil
	}
	s.order.MoveToFront(element)
	return element.Value.(*kept).pack
}

func (s *store) load(ctx context.Context, key, name, version, integrity string) (*pack, error) {
	file, err := s.fetch.Fetch(ctx, name, version, integrity, nil)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open npm package %s@%s: %w", name, version, err)
	}
	defer f.Close()
	p, err := unpackPackage(ctx, f, "npm package "+name+"@"+version, s.limits)
	if err != nil {
		return nil, err
	}
	s.keep(key, p)
	return p, nil
}

func (s *store) keep(key string, p *pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.packs[key]; ok {
		return
	}
	s.packs[key] = s.order.PushFront(&kept{key: key, pack: p})
	s.size += p.size
	for s.size > s.limits.CacheBytes && s.order.Len() > 1 {
		oldest := s.order.Remove(s.order.Back()).(*kept)
		delete(s.packs, oldest.key)
		s.size -= oldest.pack.size
	}
}

// unpackPackage reads an npm tarball into memory. Symbolic links are left out, as npm does, and
// so is what no bundle can hold: type declarations, source maps and prose.
func unpackPackage(ctx context.Context, r io.Reader, what string, limits Limits) (*pack, error) {
	p := &pack{files: map[string]string{}}
	a := &archive{what: what, limits: limits}
	err := a.walk(ctx, r, func(e entry, content io.Reader) error {
		if e.kind != entryFile || useless(e.name) {
			return nil
		}
		var text strings.Builder
		text.Grow(int(e.size))
		if _, err := io.Copy(&text, content); err != nil {
			return err
		}
		p.size += int64(text.Len() + len(e.name))
		p.files[e.name] = text.String()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func useless(name string) bool {
	for _, ending := range []string{".d.ts", ".d.mts", ".d.cts", ".map", ".md", ".flow"} {
		if strings.HasSuffix(name, ending) {
			return true
		}
	}
	return false
}
