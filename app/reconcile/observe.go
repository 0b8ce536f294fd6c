package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/sync/errgroup"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// observe looks at every provider at once: at what is desired, and at what the ledger remembers
// and is no longer desired.
func (p *pass) observe(ctx context.Context, desired []preview.Resource) (undesired []preview.Resource, observed map[preview.Key]preview.Observed, err error) {
	wanted := map[preview.Key]bool{}
	for _, r := range desired {
		wanted[r.Key()] = true
	}
	for _, entry := range p.ledger {
		if wanted[entry.Key()] || p.env.Kind.Core() && !dispensable(desired, entry) {
			continue
		}
		undesired = append(undesired, preview.Resource{Kind: entry.Kind, Worker: entry.Worker, Name: entry.Name,
			Mark: preview.Mark{Project: p.project.ID, Environment: p.env.ID}})
	}
	observed, err = p.observeAll(ctx, desired, undesired)
	if err != nil {
		return nil, nil, err
	}
	undesired = p.removable(undesired)
	for _, r := range undesired {
		if o := observed[r.Key()]; o.Exists && o.Owned {
			continue
		}
		if err := p.Store.Forget(ctx, p.lease, r.Key(), p.set.Places[r.Kind]); err != nil {
			return nil, nil, storeError("forget "+r.Key().String(), err)
		}
	}
	for _, r := range desired { // also what a pass that was cut off deployed
		if o := observed[r.Key()]; o.Digest == r.Digest && o.Outputs.Version != p.outputs[r.Key()].Version {
			if err := p.deployed(ctx, r, o.Outputs); err != nil {
				return nil, nil, err
			}
		}
	}
	p.know(desired, observed)
	for _, entry := range p.ledger { // what was begun has to come to its end
		if o, ok := observed[entry.Key()]; ok && wanted[entry.Key()] && (entry.Digest == "" || otherLogin(entry.Outputs, o.Outputs)) {
			o.Digest = ""
			observed[entry.Key()] = o
		}
	}
	return undesired, observed, nil
}

// otherLogin reports whether a database has another password than the one that was given to those who use it: they are bound anew as if it
// were another database. The ledger tells, so that this is not forgotten where a pass fails, or another replica saw it first.
func otherLogin(given, now preview.Outputs) bool {
	return given.LoginDigest != "" && now.LoginDigest != "" && given.LoginDigest != now.LoginDigest
}

// dispensable reports whether a core environment, of which nothing is ever deleted, can do without: a
// Worker that the configuration no longer names, while the rest stays wanted, holds no data.
func dispensable(desired []preview.Resource, entry preview.LedgerEntry) bool {
	return len(desired) > 0 && entry.Kind == preview.KindWorker
}

// know adds to the outputs what was seen of the desired resources. While anything is wanted, what is
// not wanted any more no longer counts.
func (p *pass) know(desired []preview.Resource, observed map[preview.Key]preview.Observed) {
	if len(desired) == 0 {
		return
	}
	outputs := map[preview.Key]preview.Outputs{}
	for _, r := range desired {
		o := observed[r.Key()]
		known := p.outputs[r.Key()].Merge(named(r, o.Outputs))
		if r.Kind == preview.KindSchema && o.Digest == r.Digest && o.Outputs.BehindParent != nil { // nil: not known now
			known.BehindParent = o.Outputs.BehindParent
		}
		outputs[r.Key()] = known
	}
	p.outputs = outputs
}

// named is what a resource offers together with the name that the repository has for the Worker, or the operator for the database.
func named(r preview.Resource, out preview.Outputs) preview.Outputs {
	if r.Kind == preview.KindDatabase {
		out.LongLived = r.LongLived
	}
	if w, ok := r.Layout.Worker(r.Worker); ok && r.Kind == preview.KindWorker {
		out.WorkerName = w.Name
	}
	return out
}

// standsAlone reports whether nothing else of an environment needs a kind: while its provider is away, the rest
// is made, and it follows when the provider is back.
func standsAlone(kind preview.Kind) bool { return kind == preview.KindCollection }

// removable are those of what is not wanted any more that can go while others can't be looked at. What a Worker uses stays until
// the Worker is known to be gone.
func (p *pass) removable(undesired []preview.Resource) []preview.Resource {
	used := slices.ContainsFunc(undesired, func(r preview.Resource) bool { return r.Kind == preview.KindWorker && p.unseen[r.Key()] != nil })
	return slices.DeleteFunc(p.seen(undesired), func(r preview.Resource) bool {
		return used && (r.Kind == preview.KindDatabase || r.Kind == preview.KindSchema)
	})
}

// seen are the resources whose providers could be asked.
func (p *pass) seen(resources []preview.Resource) []preview.Resource {
	return slices.DeleteFunc(slices.Clone(resources), func(r preview.Resource) bool { return p.unseen[r.Key()] != nil })
}

// unseenError is what the pass still owes after it did all else.
func (p *pass) unseenError() error {
	var errs []error
	for _, key := range slices.SortedFunc(maps.Keys(p.unseen), func(a, b preview.Key) int { return strings.Compare(a.String(), b.String()) }) {
		errs = append(errs, p.unseen[key])
	}
	return errors.Join(errs...)
}

// observeAll looks at all of them. It does without a provider's answer where the rest can be done all the same: about what stands
// alone while the provider is away, and about what is not wanted any more, whatever keeps the provider from answering.
func (p *pass) observeAll(ctx context.Context, desired, undesired []preview.Resource) (map[preview.Key]preview.Observed, error) {
	var mu sync.Mutex
	observed := map[preview.Key]preview.Observed{}
	group, gctx := errgroup.WithContext(ctx)
	for i, r := range slices.Concat(desired, undesired) {
		provider, ok := p.set.Kinds[r.Kind]
		if !ok {
			return nil, fmt.Errorf("no provider for %s", r.Kind)
		}
		group.Go(func() error {
			octx, cancel := context.WithTimeout(gctx, p.StepTimeout)
			defer cancel()
			var o preview.Observed
			err := span(octx, "observe "+string(r.Kind), func(ctx context.Context) error {
				return telemetry.Guarded(func() (err error) {
					o, err = provider.Observe(ctx, r)
					return err
				})
			}, attribute.String("worker", r.Worker))
			if err != nil {
				err = fmt.Errorf("observe %s: %w", r.Key(), err)
			}
			mu.Lock()
			defer mu.Unlock()
			without := i >= len(desired) || standsAlone(r.Kind) && preview.Classify(err) == preview.ClassTransient
			if err != nil && without && gctx.Err() == nil {
				p.unseen[r.Key()] = err
				return nil
			}
			if err != nil {
				return err
			}
			observed[r.Key()] = o
			return nil
		})
	}
	return observed, group.Wait()
}
