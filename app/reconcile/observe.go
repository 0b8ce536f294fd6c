package reconcile

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/flaresmith/flaresmith/app/preview"
)

// observe looks at every provider at once: at what is desired, and at what the ledger remembers
// and is no longer desired.
func (p *pass) observe(ctx context.Context, desired []preview.Resource) (undesired []preview.Resource, observed map[preview.Kind]preview.Observed, err error) {
	wanted := map[preview.Kind]bool{}
	for _, r := range desired {
		wanted[r.Kind] = true
	}
	for _, entry := range p.ledger {
		if !wanted[entry.Kind] && !p.env.Kind.Core() {
			undesired = append(undesired, preview.Resource{Kind: entry.Kind, Name: entry.Name,
				Mark: preview.Mark{Project: p.project.ID, Environment: p.env.ID}})
		}
	}
	observed, err = p.observeAll(ctx, append(append([]preview.Resource{}, desired...), undesired...))
	if err != nil {
		return nil, nil, err
	}
	for _, r := range undesired {
		if o := observed[r.Kind]; o.Exists && o.Owned {
			continue
		}
		if err := p.Store.Forget(ctx, p.lease, r.Kind); err != nil {
			return nil, nil, storeError("forget "+string(r.Kind), err)
		}
	}
	for _, r := range desired {
		p.outputs = p.outputs.Merge(observed[r.Kind].Outputs)
		if o := observed[r.Kind]; r.Kind == preview.KindSchema && o.Digest == r.Digest {
			p.outputs.BehindParent = o.Outputs.BehindParent
		}
	}
	return undesired, observed, nil
}

func (p *pass) observeAll(ctx context.Context, resources []preview.Resource) (map[preview.Kind]preview.Observed, error) {
	var mu sync.Mutex
	observed := map[preview.Kind]preview.Observed{}
	group, gctx := errgroup.WithContext(ctx)
	for _, r := range resources {
		provider, ok := p.Providers[r.Kind]
		if !ok {
			return nil, fmt.Errorf("no provider for %s", r.Kind)
		}
		group.Go(func() error {
			octx, cancel := context.WithTimeout(gctx, p.StepTimeout)
			defer cancel()
			var o preview.Observed
			err := guarded(func() (err error) {
				o, err = provider.Observe(octx, r)
				return err
			})
			if err != nil {
				return fmt.Errorf("observe %s: %w", r.Kind, err)
			}
			mu.Lock()
			defer mu.Unlock()
			observed[r.Kind] = o
			return nil
		})
	}
	return observed, group.Wait()
}
