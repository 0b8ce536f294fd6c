package providertest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/providertest"
)

// shelf is the smallest outside system: things by name, and a count of writes.
type shelf struct {
	mu     sync.Mutex
	things map[string]thing
	writes int
}

type thing struct {
	mark   preview.Mark
	digest string
}

func (s *shelf) put(name string, t thing) {
	if old, exists := s.things[name]; !exists || old != t {
		s.things[name] = t
		s.writes++
	}
}

// provider keeps things on a shelf.
type provider struct{ shelf *shelf }

var errName = errors.New("not a name of ours")

func (p provider) Observe(_ context.Context, r preview.Resource) (preview.Observed, error) {
	if !preview.NamePattern.MatchString(r.Name) {
		return preview.Observed{}, errName
	}
	p.shelf.mu.Lock()
	defer p.shelf.mu.Unlock()
	t, exists := p.shelf.things[r.Name]
	observed := preview.Observed{Exists: exists, Owned: exists && t.mark == r.Mark}
	if observed.Owned {
		observed.Digest, observed.Outputs.URL = t.digest, "https://"+r.Name
	}
	return observed, nil
}

func (p provider) Apply(ctx context.Context, r preview.Resource, _ preview.Inputs) (preview.Outputs, error) {
	observed, err := p.Observe(ctx, r)
	switch {
	case err != nil:
		return preview.Outputs{}, err
	case ctx.Err() != nil:
		return preview.Outputs{}, preview.Transient(ctx.Err())
	case observed.Exists && !observed.Owned:
		return preview.Outputs{}, preview.ErrConflict
	}
	p.shelf.mu.Lock()
	defer p.shelf.mu.Unlock()
	p.shelf.put(r.Name, thing{r.Mark, r.Digest})
	return preview.Outputs{URL: "https://" + r.Name}, nil
}

func (p provider) Delete(ctx context.Context, r preview.Resource) error {
	observed, err := p.Observe(ctx, r)
	if err != nil || !observed.Exists {
		return err
	}
	if !observed.Owned {
		return preview.ErrConflict
	}
	p.shelf.mu.Lock()
	defer p.shelf.mu.Unlock()
	delete(p.shelf.things, r.Name)
	p.shelf.writes++
	return nil
}

func (p provider) List(context.Context) ([]preview.Found, error) {
	p.shelf.mu.Lock()
	defer p.shelf.mu.Unlock()
	var found []preview.Found
	for name, t := range p.shelf.things {
		if t.mark != (preview.Mark{}) {
			found = append(found, preview.Found{Kind: preview.KindWorker, Name: name, Mark: t.mark})
		}
	}
	slices.SortFunc(found, func(a, b preview.Found) int { return cmp.Compare(a.Name, b.Name) })
	return found, nil
}

// The suite passes on a provider that does what the contract says; this is also how to call it.
func TestRun(t *testing.T) {
	t.Parallel()
	s := &shelf{things: map[string]thing{}}
	numbers := 0
	providertest.Run(t, providertest.Suite{
		Provider: provider{s},
		Resource: func(*testing.T) preview.Resource {
			numbers++
			return preview.Resource{
				Kind: preview.KindWorker, Name: preview.PreviewName("abcdefgh", numbers),
				Mark: preview.Mark{Project: "p", Environment: fmt.Sprint(numbers)},
			}
		},
		Snapshot: func(*testing.T, preview.Resource) string { return fmt.Sprint(s.writes) },
		Plant: func(t *testing.T, r preview.Resource) {
			s.put(r.Name, thing{})
			t.Cleanup(func() { delete(s.things, r.Name) })
		},
		Restart: func(*testing.T) providertest.Provider { return provider{s} },
	})
}
