package otlp

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// recorded is a tracer whose traces the sampler chooses always or never, and what goes on.
func recorded(share float64) (*tail, *tracetest.SpanRecorder, trace.Tracer) {
	out := tracetest.NewSpanRecorder()
	q := newTail(out)
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(q),
		sdktrace.WithSampler(recordAll{sdktrace.ParentBased(sdktrace.TraceIDRatioBased(share))}))
	return q, out, provider.Tracer("")
}

func names(spans []sdktrace.ReadOnlySpan) []string {
	var list []string
	for _, s := range spans {
		list = append(list, s.Name())
	}
	slices.Sort(list)
	return list
}

// remote is a parent on another server, which kept its trace or did not.
func remote(ctx context.Context, sampled bool) context.Context {
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.TraceFlags(0).WithSampled(sampled)}))
}

func TestTailKeeps(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		share  float64
		parent func(context.Context) context.Context
		took   time.Duration
		fail   string // the span that fails
		want   []string
	}{
		{name: "nothing special", took: time.Second},
		{name: "chosen", share: 1, took: time.Second, want: []string{"call", "root", "step"}},
		{name: "slow", took: 2 * time.Second, want: []string{"call", "root", "step"}},
		{name: "root failed", took: time.Second, fail: "root", want: []string{"call", "root", "step"}},
		{name: "call failed", took: time.Second, fail: "call", want: []string{"call", "root", "step"}},
		{name: "parent elsewhere was chosen", took: time.Second, parent: func(ctx context.Context) context.Context { return remote(ctx, true) },
			want: []string{"call", "root", "step"}},
		{name: "parent elsewhere was not chosen", share: 1, took: time.Second, parent: func(ctx context.Context) context.Context { return remote(ctx, false) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q, out, tracer := recorded(tt.share)
			ctx := t.Context()
			if tt.parent != nil {
				ctx = tt.parent(ctx)
			}
			end := func(s trace.Span, name string) {
				if name == tt.fail {
					s.SetStatus(codes.Error, "")
				}
				s.End(trace.WithTimestamp(start.Add(tt.took)))
			}
			rctx, root := tracer.Start(ctx, "root", trace.WithTimestamp(start))
			sctx, step := tracer.Start(rctx, "step", trace.WithTimestamp(start))
			_, call := tracer.Start(sctx, "call", trace.WithTimestamp(start))
			end(call, "call")
			end(step, "step")
			if n := len(out.Ended()); n != 0 {
				t.Errorf("%d spans went on before their root ended", n)
			}
			end(root, "root")
			if diff := cmp.Diff(tt.want, names(out.Ended())); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			for _, s := range out.Ended() {
				if !s.SpanContext().IsSampled() {
					t.Errorf("%s is not marked as sampled, so the queue would drop it", s.Name())
				}
			}
			if len(q.live) != 0 || q.waiting != 0 {
				t.Errorf("%d spans run and %d wait", len(q.live), q.waiting)
			}
		})
	}
}

// A span that ends after its root shares the root's fate; two traces at once have one each.
func TestTailTellsTracesApart(t *testing.T) {
	t.Parallel()
	q, out, tracer := recorded(0)
	good, first := tracer.Start(t.Context(), "good")
	bad, second := tracer.Start(t.Context(), "bad")
	_, lateGood := tracer.Start(good, "late good")
	_, lateBad := tracer.Start(bad, "late bad")
	second.SetStatus(codes.Error, "")
	first.End()
	second.End()
	lateGood.End()
	lateBad.End()
	if diff := cmp.Diff([]string{"bad", "late bad"}, names(out.Ended())); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if len(q.live) != 0 || q.waiting != 0 {
		t.Errorf("%d spans run and %d wait", len(q.live), q.waiting)
	}
}

// Beyond the limit nothing is held, and the sampler's choice alone counts.
func TestTailIsBounded(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0, 1} {
		t.Run(fmt.Sprint(share), func(t *testing.T) {
			t.Parallel()
			q, out, tracer := recorded(share)
			q.limit = 10
			ctx, root := tracer.Start(t.Context(), "root")
			for range 100 { // end one after the other
				_, s := tracer.Start(ctx, "s")
				s.End()
			}
			if q.waiting > q.limit {
				t.Errorf("%d spans wait", q.waiting)
			}
			var open []trace.Span
			for range 100 { // run at once
				_, s := tracer.Start(t.Context(), "other")
				open = append(open, s)
			}
			if len(q.live) > q.limit {
				t.Errorf("%d spans are known", len(q.live))
			}
			for _, s := range open {
				s.End()
			}
			root.End()
			if want := int(share) * 201; len(out.Ended()) != want {
				t.Errorf("%d spans went on, want %d", len(out.Ended()), want)
			}
			if len(q.live) != 0 || q.waiting != 0 {
				t.Errorf("%d spans run and %d wait", len(q.live), q.waiting)
			}
		})
	}
}
