package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/flaresmith/flaresmith/app/outbound"
)

// newGitHubCalls is what every call to GitHub goes over.
func (s *Server) newGitHubCalls() *outbound.Transport {
	api, _ := url.Parse(s.config.GitHubAPIURL) // checked by config
	return outbound.New(githubPolicy(s.config.GitHubAPIURL), http.DefaultTransport,
		outbound.Options{Observer: s.metrics, Logger: s.logger, API: api})
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
