package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/replicas"
)

// account is one account of an outside system, and how it is called.
type account struct {
	name      string
	transport *outbound.Transport
}

// RoundTrip implements http.RoundTripper.
func (a account) RoundTrip(r *http.Request) (*http.Response, error) {
	return a.transport.For(a.name).RoundTrip(r)
}

func cloudPolicies() map[string]outbound.Policy {
	return map[string]outbound.Policy{onNeon: outbound.Neon(), onCloudflare: outbound.Cloudflare(), onPostman: outbound.Postman()}
}

// newGitHubCalls is what every call to GitHub goes over.
func (s *Server) newGitHubCalls(standIns StandIns) *outbound.Transport {
	api, _ := url.Parse(s.config.GitHubAPIURL) // checked by config
	policy := githubPolicy(s.config.GitHubAPIURL)
	if standIns.Calls != nil {
		standIns.Calls(&policy)
	}
	return outbound.New(policy, http.DefaultTransport,
		outbound.Options{Observer: s.metrics, Logger: s.logger, API: api, Shared: s.shared()})
}

// shared lets all replicas keep limits and circuit breakers together. What is no server has no part in it.
func (s *Server) shared() outbound.Shared {
	if s.store == nil {
		return nil
	}
	return replicas.New(s.store.Pool())
}

// githubPolicy has no budgets where GitHub's published limits do not hold: an Enterprise server
// has none unless its operator sets them, and then answers with them.
func githubPolicy(api string) outbound.Policy {
	policy := outbound.GitHub()
	if address, err := url.Parse(api); api != "" && err == nil {
		host := strings.ToLower(address.Hostname())
		if host != "api.github.com" && !strings.HasSuffix(host, ".ghe.com") {
			policy.Budgets = nil
		}
	}
	return policy
}
