package inbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/palantir/go-githubapp/githubapp"

	"github.com/flaresmith/flaresmith/app/store"
)

const (
	batchers    = 2        // one collects while the other commits
	keptPayload = 64 << 10 // a larger buffer is not kept for the next delivery
)

// errStopped is the answer to a delivery that comes after the end of Run.
var errStopped = errors.New("the inbox is stopped")

// deliveries is the subset of the store that the scheduler uses.
type deliveries interface {
	// InsertDeliveries commits all of them, each once by its GUID, before it returns nil; on an
	// error it stored none.
	InsertDeliveries(ctx context.Context, list []store.Delivery) (stored int, err error)
}

// Scheduler stores deliveries, many in one transaction. It is a githubapp.Scheduler that runs
// nothing itself. Its batchers work while Run does.
//
// All deliveries of one pull request go through one batcher: they keep their order, and two
// transactions never wait for each other's row of that pull request, nor for a delivery id that
// was sent twice.
type Scheduler struct {
	batchers [batchers]*batcher
	entries  sync.Pool // *entry
	stopped  chan struct{}
}

var _ githubapp.Scheduler = (*Scheduler)(nil)

// entry is a delivery on its way into the store. Whoever got its answer owns it again.
type entry struct {
	delivery store.Delivery
	done     chan error // takes one answer without a receiver
}

// NewScheduler makes a scheduler on the store.
func NewScheduler(s deliveries) *Scheduler {
	scheduler := &Scheduler{stopped: make(chan struct{})}
	scheduler.entries.New = func() any { return &entry{done: make(chan error, 1)} }
	for i := range scheduler.batchers {
		scheduler.batchers[i] = newBatcher(s)
	}
	return scheduler
}

// Run stores what is scheduled until ctx ends, then what is still queued, and returns. Call it once,
// and end ctx when nothing is scheduled any more: what comes later is refused.
func (s *Scheduler) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, b := range s.batchers {
		group.Go(func() { b.run(ctx) })
	}
	group.Wait()
	close(s.stopped)
}

// Schedule stores one delivery; its payload is a JSON object, its Handler is not used. When it
// returns nil the delivery is committed. A known delivery id is no error and changes nothing. The
// error is githubapp.ErrCapacityExceeded, at once, when too many wait. When ctx ends Schedule returns,
// and the delivery may be stored or not. The payload is not kept.
func (s *Scheduler) Schedule(ctx context.Context, d githubapp.Dispatch) error {
	return s.schedule(ctx, d, time.Time{})
}

// schedule is Schedule of a delivery that came at a time in the past; zero: it comes now.
func (s *Scheduler) schedule(ctx context.Context, d githubapp.Dispatch, at time.Time) error {
	if d.EventType == "" || d.DeliveryID == "" {
		return errors.New("delivery without event or id")
	}
	k := route(d.Payload)
	b := s.batchers[k.place(len(s.batchers))]
	if b.full() {
		return githubapp.ErrCapacityExceeded // before the work of compression
	}
	e := s.entries.Get().(*entry)
	e.delivery = store.Delivery{
		GUID:           d.DeliveryID,
		Event:          d.EventType,
		InstallationID: k.installation,
		RepoID:         k.repo,
		PR:             k.pr,
		ReceivedAt:     at,
		Payload:        s2.Encode(e.delivery.Payload, d.Payload),
	}
	if !b.offer(e) {
		s.keep(e)
		return githubapp.ErrCapacityExceeded
	}
	return s.wait(ctx, e)
}

// Queued is the number of deliveries that wait for a transaction.
func (s *Scheduler) Queued() int {
	n := 0
	for _, b := range s.batchers {
		n += len(b.queue)
	}
	return n
}

// wait returns what became of an entry in a queue.
func (s *Scheduler) wait(ctx context.Context, e *entry) error {
	select {
	case err := <-e.done:
		s.keep(e)
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
	}
	select {
	case err := <-e.done:
		return err
	default:
		return errStopped
	}
}

// keep lets another delivery use the entry and its buffer.
func (s *Scheduler) keep(e *entry) {
	if cap(e.delivery.Payload) <= keptPayload {
		e.delivery = store.Delivery{Payload: e.delivery.Payload}
		s.entries.Put(e)
	}
}

// place is the batcher of n that takes these keys' deliveries.
func (k keys) place(n int) int {
	mixed := (uint64(k.repo)<<20 ^ uint64(k.pr)) * 0x9e3779b97f4a7c15 // #nosec G115 -- bits to mix, not a number
	return int((mixed >> 32) % uint64(n))                             // #nosec G115 -- below n
}
