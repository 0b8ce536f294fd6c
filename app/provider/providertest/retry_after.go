package providertest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// RetryAfter tests that a provider of a system at an address tells how long that system wants to be left alone, which
// it says in seconds or as a date.
func RetryAfter(t *testing.T, open func(address string) (Provider, error)) {
	t.Helper()
	for _, value := range []string{"1200", time.Now().Add(20 * time.Minute).UTC().Format(http.TimeFormat)} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		t.Cleanup(server.Close)
		p, err := open(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		var transient *preview.TransientError
		if _, err := p.List(t.Context()); !errors.As(err, &transient) || transient.After < 10*time.Minute || transient.After > 20*time.Minute {
			t.Errorf("Retry-After %s: %v, %+v", value, err, transient)
		}
	}
}
