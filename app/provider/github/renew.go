package github

import (
	"net/http"
	"sync"
)

// renewing drops a token that GitHub refuses, as it does when an installation was removed and
// made again, and asks once more with a new one: 401 says that nothing was done.
type renewing struct {
	make func() http.RoundTripper

	mu      sync.Mutex
	current http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *renewing) RoundTrip(r *http.Request) (*http.Response, error) {
	transport := t.transport(nil)
	answer, err := transport.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusUnauthorized || (r.Body != nil && r.GetBody == nil) {
		return answer, err
	}
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return answer, nil //nolint:nilerr // the first answer stands when there can be no second
		}
	}
	_ = answer.Body.Close()
	return t.transport(transport).RoundTrip(again)
}

// transport is the current one, made anew when it is still the refused one.
func (t *renewing) transport(refused http.RoundTripper) http.RoundTripper {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil || t.current == refused {
		t.current = t.make()
	}
	return t.current
}
