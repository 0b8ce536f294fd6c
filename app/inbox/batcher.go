package inbox

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/store"
)

const (
	queueRows  = 2048     // that wait for one batcher
	queueBytes = 32 << 20 // of their compressed payloads: what a stalled database costs in memory

	batchRows  = 128
	batchBytes = 16 << 20 // compressed; the row that passes it is the last
	linger     = 3 * time.Millisecond
)

// batcher stores what is in its queue, all that waits in one transaction.
type batcher struct {
	store deliveries
	queue chan *entry
	bytes atomic.Int64 // compressed, queued or being stored
}

func newBatcher(s deliveries) *batcher {
	return &batcher{store: s, queue: make(chan *entry, queueRows)}
}

// full reports whether an offer would be refused now.
func (b *batcher) full() bool { return len(b.queue) == cap(b.queue) || b.bytes.Load() >= queueBytes }

// offer queues an entry, or returns false when the queue is full.
func (b *batcher) offer(e *entry) bool {
	size := int64(len(e.delivery.Payload))
	if b.bytes.Add(size) <= queueBytes {
		select {
		case b.queue <- e:
			return true
		default:
		}
	}
	b.bytes.Add(-size)
	return false
}

// run stores batches until ctx ends and the queue is empty.
func (b *batcher) run(ctx context.Context) {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	next := batch{entries: make([]*entry, 0, batchRows)}
	for {
		busy := len(next.entries) > 1
		next.clear()
		select {
		case e := <-b.queue:
			next.add(e)
		case <-ctx.Done():
		}
		b.fill(&next)
		if busy && ctx.Err() == nil {
			timer.Reset(linger)
			b.linger(ctx, &next, timer.C)
		}
		if len(next.entries) == 0 {
			return
		}
		b.flush(ctx, &next)
	}
}

// fill takes what waits.
func (b *batcher) fill(next *batch) {
	for !next.full() {
		select {
		case e := <-b.queue:
			next.add(e)
		default:
			return
		}
	}
}

// linger takes what comes until enough is there. A single delivery after a single one does not
// wait for company: lingering is for when there is some.
func (b *batcher) linger(ctx context.Context, next *batch, over <-chan time.Time) {
	for !next.full() {
		select {
		case e := <-b.queue:
			next.add(e)
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// flush stores the entries and answers each. The end of ctx, or of a request, does not stop it.
func (b *batcher) flush(ctx context.Context, next *batch) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	b.insert(ctx, next.entries)
	b.bytes.Add(-next.bytes)
}

// insert halves a batch that holds a row which the database refuses, so that it fails alone.
func (b *batcher) insert(ctx context.Context, entries []*entry) {
	rows := make([]store.Delivery, len(entries))
	for i, e := range entries {
		rows[i] = e.delivery
	}
	_, err := b.store.InsertDeliveries(ctx, rows)
	if len(entries) > 1 && refused(err) {
		half := len(entries) / 2
		b.insert(ctx, entries[:half])
		b.insert(ctx, entries[half:])
		return
	}
	for _, e := range entries {
		e.done <- err
	}
}

// refused reports whether the database has something against the data of a row.
func refused(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) < 2 {
		return false
	}
	switch pg.Code[:2] {
	case "22", "23", "54": // data exception, constraint, program limit
		return true
	}
	return false
}

// batch is what is stored in one transaction.
type batch struct {
	entries []*entry
	bytes   int64
}

func (n *batch) add(e *entry) {
	n.entries, n.bytes = append(n.entries, e), n.bytes+int64(len(e.delivery.Payload))
}

func (n *batch) full() bool { return len(n.entries) >= batchRows || n.bytes >= batchBytes }

func (n *batch) clear() {
	clear(n.entries) // they belong to their requests
	n.entries, n.bytes = n.entries[:0], 0
}
