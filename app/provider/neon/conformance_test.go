package neon_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/neon"
	"github.com/flaresmith/flaresmith/app/provider/providertest"
	sim "github.com/flaresmith/flaresmith/app/sim/neon"
)

const (
	apiKey = "napi_conformance"
	look   = 20 * time.Millisecond
)

// world is a stand-in of Neon.
func world(t *testing.T, change func(*sim.Config)) *sim.Server {
	t.Helper()
	tools, err := embeddedtest.Tools()
	if err != nil {
		t.Fatal(err)
	}
	binDir, err := tools.Postgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "neon-") //nolint:usetesting // Postgres runs as a user of its own, who must be able to pass through
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	config := sim.Config{Dir: dir, BinDir: binDir, APIKey: apiKey, Branches: 30, Validate: true, Unlimited: true}
	if change != nil {
		change(&config)
	}
	s, err := sim.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for _, v := range s.Violations() {
			t.Errorf("not as Neon describes it: %s", v)
		}
	})
	return s
}

// provider is one as the server makes it, with its calls over the outbound transport.
func provider(t *testing.T, s *sim.Server) *neon.Branches {
	t.Helper()
	p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Look: look, Dial: s.Dial, Roots: s.Certificates(),
		Transport: outbound.New(outbound.Neon(), http.DefaultTransport, outbound.Options{}).For("test")})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var number atomic.Int64

func resource(*testing.T) preview.Resource {
	return preview.Resource{
		Kind: preview.KindDatabase, Name: fmt.Sprintf("preview-conform-pr-%d", number.Add(1)), Parent: "main", Digest: "1",
		Mark: preview.Mark{Project: uuid.NewString(), Environment: uuid.NewString()},
	}
}

// writes counts the requests that change something.
func writes(s *sim.Server) string {
	n := 0
	for _, request := range s.Requests() {
		if !strings.HasPrefix(request, "GET ") {
			n++
		}
	}
	return fmt.Sprint(n)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	providertest.Run(t, providertest.Suite{
		Provider: provider(t, s),
		Resource: resource,
		Snapshot: func(*testing.T, preview.Resource) string { return writes(s) },
		Plant:    func(t *testing.T, r preview.Resource) { t.Helper(); plant(t, s, r) },
		Restart: func(t *testing.T) providertest.Provider {
			t.Helper()
			return provider(t, s)
		},
	})
}

// plant makes a branch of r's name that carries no mark. The name of one that was just removed may be taken a little longer.
func plant(t *testing.T, s *sim.Server, r preview.Resource) {
	t.Helper()
	post(t, s, `{"branch": {"name": "`+r.Name+`"}}`)
}

// post asks for a branch as an operator does.
func post(t *testing.T, s *sim.Server, wish string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, s.URL()+"/projects/"+s.ProjectID()+"/branches",
			strings.NewReader(wish))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+apiKey)
		request.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		switch {
		case answer.StatusCode == http.StatusCreated:
			return
		case answer.StatusCode != http.StatusConflict || time.Now().After(deadline):
			t.Fatalf("plant: %s", answer.Status)
		}
		<-time.After(look)
	}
}

// connect opens a session as a Worker would, but with the stand-in's certificates and way to its hosts.
func connect(ctx context.Context, s *sim.Server, uri string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(uri)
	if err != nil {
		return nil, errors.New("the connection string does not parse")
	}
	config.DialFunc = s.Dial
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	config.TLSConfig = &tls.Config{RootCAs: s.Certificates(), ServerName: config.Host, MinVersion: tls.VersionTLS12}
	config.Fallbacks = nil
	return pgx.ConnectConfig(ctx, config)
}

func apply(t *testing.T, p *neon.Branches, r preview.Resource) preview.Outputs {
	t.Helper()
	outputs, err := p.Apply(t.Context(), r, preview.Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
