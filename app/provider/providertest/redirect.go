package providertest

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// NoRedirect tests that a provider of a system at an address follows it nowhere else: what is sent there are secrets.
func NoRedirect(t *testing.T, open func(address string) (Provider, error)) {
	t.Helper()
	var followed atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		t.Cleanup(server.Close)
		p, err := open(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.List(t.Context()); err == nil || followed.Load() > 0 {
			t.Errorf("status %d: %v, followed %d times", status, err, followed.Load())
		}
	}
}
