package workerd

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestPostsArrive sends requests that must not be repeated, many at once, to a Worker that does not read them. The runtime
// hangs up on one of some hundred new connections before it takes a byte.
func TestPostsArrive(t *testing.T) {
	t.Parallel()
	rt, r := newRuntime(t, nil), resource()
	apply(t, rt, r, worker(answering(`return new Response("at " + url.pathname)`)))
	const callers, each = 8, 400
	var failed atomic.Int64
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range each {
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.Name+".localhost:8080/form", strings.NewReader("a=b"))
				rec := httptest.NewRecorder()
				rt.ServeHTTP(rec, req)
				if rec.Body.String() != "at /form" && failed.Add(1) == 1 {
					t.Errorf("%d %q", rec.Code, rec.Body)
				}
			}
		})
	}
	group.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d failed", n, callers*each)
	}
}
