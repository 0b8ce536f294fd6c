package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/telemetry/otlp/otlptest"
)

// What the outside systems of the convergence figure take for one call.
const (
	branchTakes      = 1200 * time.Millisecond
	uploadTakes      = 2 * time.Second
	environmentTakes = 400 * time.Millisecond
	gitHubTakes      = 200 * time.Millisecond
)

// stepNeeds says which steps of a pass must follow which, as package plan does.
func stepNeeds() map[string][]string {
	return map[string][]string{
		"source": nil, "bundle": {"source"}, "database": nil, "schema": {"database", "source"},
		"worker": {"bundle", "schema"}, "collection": {"source", "worker"},
	}
}

// BenchmarkConvergence compares the wall time of a pass with its own critical path, both from the spans that
// the server sends. .github/BENCHMARKS.md defines the path.
func BenchmarkConvergence(b *testing.B) {
	receiver := otlptest.New(b)
	w := newWorld(b, sampleFiles(), map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL, "OTEL_TRACES_SAMPLER_ARG": "1"})
	w.github.SetFaults(func(*http.Request) *fault.Fault { return &fault.Fault{Delay: gitHubTakes} })
	w.cloud.fail(func(ctx context.Context, op string, r preview.Resource) error {
		takes := map[preview.Kind]time.Duration{preview.KindDatabase: branchTakes, preview.KindWorker: uploadTakes, preview.KindCollection: environmentTakes}
		select {
		case <-time.After(takes[r.Kind]):
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	n := 0
	open := func() (branch string, pr int) {
		n++
		branch = fmt.Sprintf("feature/%d", n)
		pr, sha := w.open(branch)
		w.wantCheck(sha, "success")
		w.settle()
		return branch, pr
	}
	b.Run("create", func(b *testing.B) {
		measure(b, w, receiver, true, func() { open() })
	})
	b.Run("push", func(b *testing.B) {
		branch, _ := open()
		measure(b, w, receiver, true, func() {
			n++
			w.wantCheck(w.push(branch, fmt.Sprint(n)), "success")
			w.settle()
		})
	})
	b.Run("unchanged", func(b *testing.B) {
		_, pr := open()
		measure(b, w, receiver, false, func() {
			if err := w.server.store.WantProject(b.Context(), w.environment(pr).ProjectID); err != nil {
				b.Fatal(err)
			}
			w.settle()
		})
	})
}

// measure reports the means of the passes that change makes, of those that deploy or of those that do not.
func measure(b *testing.B, w *world, receiver *otlptest.Receiver, deploys bool, change func()) {
	b.Helper()
	var wall, path, floor time.Duration
	var passes int
	received := func() []*node {
		receiver.Until(b, "every pass", func() bool { return len(passSpans(receiver)) >= int(w.passes()) })
		return passSpans(receiver)
	}
	for b.Loop() {
		before := len(received())
		change()
		for _, p := range received()[before:] {
			if (p.floor() > 0) != deploys {
				continue // another event of the same change, which finds it done
			}
			wall, path, floor, passes = wall+p.took(), path+p.criticalPath(), floor+p.floor(), passes+1
			if passes == 1 {
				b.Log(p.describe())
			}
		}
	}
	each := func(d time.Duration) float64 { return d.Seconds() / float64(passes) }
	b.ReportMetric(each(wall), "wall-s/pass")
	b.ReportMetric(each(path), "path-s/pass")
	b.ReportMetric(wall.Seconds()/path.Seconds(), "wall/path")
	if floor > 0 {
		b.ReportMetric(each(floor), "floor-s/pass")
		b.ReportMetric(wall.Seconds()/floor.Seconds(), "wall/floor")
	}
	w.valid()
}

// node is a span with those below it.
type node struct {
	*tracepb.Span
	below []*node
}

// passSpans are the passes that were received, oldest first.
func passSpans(receiver *otlptest.Receiver) []*node {
	nodes := map[string]*node{}
	for _, s := range receiver.Spans() {
		nodes[string(s.GetSpanId())] = &node{Span: s}
	}
	var passes []*node
	for _, n := range nodes {
		if parent := nodes[string(n.GetParentSpanId())]; parent != nil {
			parent.below = append(parent.below, n)
		}
		if n.GetName() == "pass" {
			passes = append(passes, n)
		}
	}
	byStart := func(a, b *node) int { return int(int64(a.GetStartTimeUnixNano()) - int64(b.GetStartTimeUnixNano())) }
	for _, n := range nodes {
		slices.SortFunc(n.below, byStart)
	}
	slices.SortFunc(passes, byStart)
	return passes
}

func (n *node) took() time.Duration {
	return time.Duration(n.GetEndTimeUnixNano() - n.GetStartTimeUnixNano())
}

// child is the last child of that name; nil: there is none.
func (n *node) child(name string) *node {
	for _, c := range slices.Backward(n.below) {
		if c.GetName() == name {
			return c
		}
	}
	return nil
}

// calls is the time of the calls to outside systems below n, one after the other.
func (n *node) calls() time.Duration {
	var sum time.Duration
	for _, c := range n.below {
		if strings.HasPrefix(c.GetName(), "github ") {
			sum += c.took()
		}
		sum += c.calls()
	}
	return sum
}

// longest is the most that work takes of the children of the stage that bear the prefix.
func (n *node) longest(stage, prefix string, work func(*node) time.Duration) time.Duration {
	s := n.child(stage)
	if s == nil {
		return 0
	}
	var most time.Duration
	for _, c := range s.below {
		if strings.HasPrefix(c.GetName(), prefix) {
			most = max(most, work(c))
		}
	}
	return most
}

// steps are the durations of the pass's steps by name.
func (n *node) steps() map[string]time.Duration {
	took := map[string]time.Duration{}
	if act := n.child("act"); act != nil {
		for _, c := range act.below {
			if name, ok := strings.CutPrefix(c.GetName(), "step "); ok {
				took[name] = c.took()
			}
		}
	}
	return took
}

// criticalPath is the longest chain of what must follow each other: the slowest fact by its calls, the
// slowest look, the longest chain of steps, and the slowest part of the last report by its calls.
func (n *node) criticalPath() time.Duration {
	took, needs := n.steps(), stepNeeds()
	var finish func(name string) time.Duration
	finish = func(name string) time.Duration {
		var ready time.Duration
		for _, need := range needs[name] {
			ready = max(ready, finish(need))
		}
		return ready + took[name]
	}
	var steps time.Duration
	for name := range took {
		steps = max(steps, finish(name))
	}
	return n.longest("facts", "fact ", (*node).calls) + n.longest("observe", "observe ", (*node).took) + steps +
		n.longest("publish", "publish ", (*node).calls)
}

// floor is what no server could do without, as PERFORMANCE.md words it; 0 where nothing was deployed.
func (n *node) floor() time.Duration {
	took := n.steps()
	if took["worker"] == 0 {
		return 0
	}
	return max(took["database"]+took["schema"], took["source"]+took["bundle"]) + took["worker"] + took["collection"]
}

func (n *node) describe() string {
	var b strings.Builder
	var walk func(*node, string)
	walk = func(c *node, indent string) {
		at := time.Duration(c.GetStartTimeUnixNano() - n.GetStartTimeUnixNano())
		fmt.Fprintf(&b, "\n%s%-40s %6d ms + %6d ms", indent, c.GetName(), at.Milliseconds(), c.took().Milliseconds())
		for _, child := range c.below {
			walk(child, indent+"  ")
		}
	}
	walk(n, "")
	return b.String()
}
