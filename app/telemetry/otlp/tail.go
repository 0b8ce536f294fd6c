package otlp

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	// slow is the duration from which a trace is always kept.
	slow = 2 * time.Second
	// maxSpans bounds both the spans that run and those that wait for the end of their trace. Beyond it
	// a span is judged by the share alone.
	maxSpans = 8192
)

// recordAll records also what its sampler would not: it may turn out to be slow or to fail. Who is
// called is told the sampler's choice.
type recordAll struct{ sdktrace.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (s recordAll) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	result := s.Sampler.ShouldSample(p)
	if result.Decision == sdktrace.Drop {
		result.Decision = sdktrace.RecordOnly
	}
	return result
}

// tail holds the spans below a local root, a span whose parent is none or elsewhere, until that ends. Then
// all of them go on or none: when the sampler chose the trace, when one of them failed, or when the root
// took long.
type tail struct {
	next  sdktrace.SpanProcessor
	limit int

	mu      sync.Mutex
	live    map[trace.SpanID]*tree // of the spans that run
	waiting int                    // spans that ended before their root
}

// tree is a local root and what is below it.
type tree struct {
	root   trace.SpanID
	ended  []sdktrace.ReadOnlySpan
	failed bool
	over   bool // the root has ended, and keep says how it was judged
	keep   bool
}

func newTail(next sdktrace.SpanProcessor) *tail {
	return &tail{next: next, limit: maxSpans, live: map[trace.SpanID]*tree{}}
}

// OnStart implements sdktrace.SpanProcessor.
func (q *tail) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	id, parent := s.SpanContext().SpanID(), s.Parent()
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.live) >= q.limit {
		return
	}
	if !parent.IsValid() || parent.IsRemote() {
		q.live[id] = &tree{root: id}
	} else if t, ok := q.live[parent.SpanID()]; ok {
		q.live[id] = t
	}
}

// OnEnd implements sdktrace.SpanProcessor.
func (q *tail) OnEnd(s sdktrace.ReadOnlySpan) {
	for _, span := range q.end(s) {
		q.next.OnEnd(kept{span})
	}
}

// end returns the spans that are to go on.
func (q *tail) end(s sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	id := s.SpanContext().SpanID()
	chosen := s.SpanContext().IsSampled()
	failed := s.Status().Code == codes.Error
	q.mu.Lock()
	defer q.mu.Unlock()
	t, known := q.live[id]
	delete(q.live, id)
	switch {
	case !known:
		return only(s, chosen)
	case t.over:
		return only(s, t.keep)
	case id != t.root:
		t.failed = t.failed || failed
		if q.waiting >= q.limit {
			return only(s, chosen)
		}
		t.ended = append(t.ended, s)
		q.waiting++
		return nil
	}
	spans := append(t.ended, s)
	q.waiting -= len(t.ended)
	t.over, t.ended = true, nil
	t.keep = chosen || failed || t.failed || s.EndTime().Sub(s.StartTime()) >= slow
	if !t.keep {
		return nil
	}
	return spans
}

func only(s sdktrace.ReadOnlySpan, keep bool) []sdktrace.ReadOnlySpan {
	if !keep {
		return nil
	}
	return []sdktrace.ReadOnlySpan{s}
}

// Shutdown implements sdktrace.SpanProcessor. What has not ended is lost.
func (q *tail) Shutdown(ctx context.Context) error { return q.next.Shutdown(ctx) }

// ForceFlush implements sdktrace.SpanProcessor.
func (q *tail) ForceFlush(ctx context.Context) error { return q.next.ForceFlush(ctx) }

// kept is a span that is sent, and says so: the queue takes no other.
type kept struct{ sdktrace.ReadOnlySpan }

// SpanContext implements sdktrace.ReadOnlySpan.
func (k kept) SpanContext() trace.SpanContext {
	c := k.ReadOnlySpan.SpanContext()
	return c.WithTraceFlags(c.TraceFlags().WithSampled(true))
}
