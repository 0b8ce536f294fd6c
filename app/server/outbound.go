package server

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
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

// callsTo is what calls to a cloud go over: whoever has the same key has the same breaker and the same budget. The
// account's name is shown, so it is not the key but a short hash of it.
func (s *Server) callsTo(provider, api string, key preview.Secret) account {
	const shown = 4 // bytes
	sum := sha256.Sum256([]byte(key.Reveal()))
	a := account{name: hex.EncodeToString(sum[:shown]), transport: s.clouds[provider+" "+api]}
	if a.transport == nil {
		a.transport = outbound.New(cloudPolicies()[provider], http.DefaultTransport, outbound.Options{Observer: s.metrics, Logger: s.logger})
		s.clouds[provider+" "+api] = a.transport
	}
	return a
}

func cloudPolicies() map[string]outbound.Policy {
	return map[string]outbound.Policy{onNeon: outbound.Neon(), onCloudflare: outbound.Cloudflare(), onPostman: outbound.Postman()}
}

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
