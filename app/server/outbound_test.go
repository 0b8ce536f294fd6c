package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/outbound"
)

func TestGitHubPolicy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, api string
		budgets   bool
	}{
		{"default", "", true},
		{"github.com", "https://API.github.com/", true},
		{"a tenant of GitHub's", "https://api.acme.ghe.com/", true},
		{"Enterprise", "https://git.example/api/v3/", false},
		{"a name that only looks like it", "https://api.github.com.example/", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := len(githubPolicy(tt.api).Budgets) > 0; got != tt.budgets {
				t.Errorf("budgets %t, want %t", got, tt.budgets)
			}
		})
	}
}

// TestOutboundMetrics holds which series calls make, and that no name, id or query is in them.
func TestOutboundMetrics(t *testing.T) {
	t.Parallel()
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer down.Close()
	m := newMetrics()
	policy := outbound.GitHub()
	policy.Retry.Base, policy.Retry.Most = time.Millisecond, time.Millisecond
	client := &http.Client{Transport: outbound.New(policy, down.Client().Transport, outbound.Options{Observer: m})}
	for range 3 {
		answer, err := client.Get(down.URL + "/repos/acme/shop/pulls/7?token=hush")
		if err == nil {
			_ = answer.Body.Close()
		}
	}
	page := httptest.NewRecorder()
	m.handler().ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	text := page.Body.String()
	for _, line := range []string{
		`outbound_attempts_total{operation="GET pulls",provider="github",result="failed"} 10`,
		`outbound_attempts_total{operation="GET pulls",provider="github",result="open"} 1`,
		`retry_attempts{operation="GET pulls",provider="github"} 8`,
		`circuit_breaker_open_total{provider="github"} 1`,
		`circuit_breaker_open_accounts{provider="github"} 1`,
		`circuit_breaker_open_accounts{provider="neon"} 0`,
		`rate_limit_consumed_total{scope="github/points"} 10`,
		`outbound_wait_seconds_count{provider="github",reason="backoff"} 8`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	if strings.Contains(text, "acme") || strings.Contains(text, "hush") {
		t.Error("a name or query is in the metrics")
	}
	if t.Failed() {
		t.Log(text)
	}
}
