package cloudflare_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/cloudflare/cloudflare-go"
	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/cloudflare"
	"github.com/flaresmith/flaresmith/app/reconcile"
	sim "github.com/flaresmith/flaresmith/app/sim/cloudflare"
)

var _ reconcile.Provider = (*cloudflare.Workers)(nil)

const (
	token    = "cf-conformance-token"
	password = "hunter2-of-the-branch"
	database = preview.Secret("postgres://app:" + password + "@db.example.com/app")
)

// world is a stand-in of Cloudflare.
func world(t *testing.T, change func(*sim.Config)) *sim.Server {
	t.Helper()
	config := sim.Config{Workerd: embeddedtest.Workerd(t), Token: token, Unlimited: true}
	if change != nil {
		change(&config)
	}
	s, err := sim.New(config)
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
	})
	return s
}

// reach leads every host to the stand-in, as a browser's resolver does with *.localhost.
func reach(s *sim.Server) http.RoundTripper {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.Addr())
	}, DisableKeepAlives: true}
}

// configuration is that of a provider with its calls over the outbound transport, as the server makes it.
func configuration(s *sim.Server) cloudflare.Config {
	return cloudflare.Config{APIURL: s.URL(), Token: token, AccountID: s.AccountID(), HostsURL: s.WorkersURL(), Look: 20 * time.Millisecond,
		Transport: outbound.New(outbound.Cloudflare(), http.DefaultTransport, outbound.Options{}).For("test"), Reach: reach(s)}
}

// provider is one of the default driver.
func provider(t *testing.T, s *sim.Server) *cloudflare.Workers {
	t.Helper()
	return with(t, configuration(s))
}

func with(t *testing.T, c cloudflare.Config) *cloudflare.Workers {
	t.Helper()
	p, err := cloudflare.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var number atomic.Int64

func resource(*testing.T) preview.Resource {
	return preview.Resource{
		Kind: preview.KindWorker, Name: preview.PreviewName("abcdefgh", int(number.Add(1))), Digest: "1", SHA: strings.Repeat("0a", 20),
		Mark: preview.Mark{Project: uuid.NewString(), Environment: uuid.NewString()},
	}
}

// bundle is that of one module.
func bundle(source string) *preview.Bundle {
	sum := sha256.Sum256([]byte(source))
	return &preview.Bundle{
		MainModule: "index.js", Modules: []preview.Module{{Name: "index.js", Type: preview.ModuleES, Content: []byte(source)}},
		CompatibilityDate: "2026-01-01", CompatibilityFlags: []string{"nodejs_compat"}, Digest: hex.EncodeToString(sum[:]),
	}
}

func inputs(source string) preview.Inputs {
	b := bundle(source)
	b.DatabaseBinding = "DATABASE_URL"
	return preview.Inputs{Bundle: b, Outputs: preview.Outputs{DatabaseURL: database}}
}

const hello = `export default { fetch() { return new Response("hello"); } };`

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

// vendor is Cloudflare's own client, as somebody else would use it.
func vendor(t *testing.T, s *sim.Server) *sdk.API {
	t.Helper()
	api, err := sdk.NewWithAPIToken(token, sdk.BaseURL(s.URL()))
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// plant deploys a script as somebody else would.
func plant(t *testing.T, s *sim.Server, name, source string) {
	t.Helper()
	if _, err := vendor(t, s).UploadWorker(t.Context(), sdk.AccountIdentifier(s.AccountID()), sdk.CreateWorkerParams{ScriptName: name, Script: source, Module: true}); err != nil {
		t.Fatal(err)
	}
}
