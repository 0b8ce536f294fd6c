package postman_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postman"
	"github.com/flaresmith/flaresmith/app/provider/providertest"
	"github.com/flaresmith/flaresmith/app/reconcile"
	sim "github.com/flaresmith/flaresmith/app/sim/postman"
)

var _ reconcile.Provider = (*postman.Provider)(nil)

const apiKey = "PMAK-conformance"

// world is a stand-in of Postman.
func world(t *testing.T, config sim.Config) *sim.Server {
	t.Helper()
	config.APIKey = apiKey
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

// provider is one as the server makes it, with its calls over the outbound transport.
func provider(t *testing.T, s *sim.Server) *postman.Provider {
	t.Helper()
	return over(t, s, outbound.New(outbound.Postman(), http.DefaultTransport, outbound.Options{}).For("test"))
}

func over(t *testing.T, s *sim.Server, transport http.RoundTripper) *postman.Provider {
	t.Helper()
	p, err := postman.New(postman.Config{APIURL: s.URL(), APIKey: apiKey, WorkspaceID: s.Team(), Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answered lets a request that was begun get its answer: a cancelled one is then done as a whole or not at all.
type answered struct{ next http.RoundTripper }

func (a answered) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return a.next.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
}

var number atomic.Int64

func resource(*testing.T) preview.Resource {
	return preview.Resource{
		Kind: preview.KindCollection, Name: fmt.Sprintf("preview-conform1-pr-%d", number.Add(1)), Digest: "1", Layout: preview.Layout{Collections: "postman"},
		Mark: preview.Mark{Project: uuid.NewString(), Environment: uuid.NewString()},
	}
}

const collectionSchema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"

// file is a collection of a name with items.
func file(name, items string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(`{"info":{"name":"` + name + `","schema":"` + collectionSchema + `"},"item":[` + items + `]}`)}
}

func inputs(files fstest.MapFS) preview.Inputs {
	return preview.Inputs{Source: files, Outputs: preview.Outputs{URL: "https://preview.example.dev/"}}
}

func shop() preview.Inputs {
	return inputs(fstest.MapFS{"postman/shop.postman_collection.json": file("Shop", `{"name":"list","request":"{{baseUrl}}/products"},{"name":"one","request":"{{baseUrl}}/products/1"}`)})
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

// send is a request of somebody else's.
func send(t *testing.T, s *sim.Server, method, path, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", apiKey)
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %v %v", method, path, answer, err)
	}
	_ = answer.Body.Close()
}

func TestConformance(t *testing.T) {
	t.Parallel()
	s := world(t, sim.Config{})
	start := func(t *testing.T) *postman.Provider {
		t.Helper()
		return over(t, s, answered{http.DefaultTransport})
	}
	providertest.Run(t, providertest.Suite{
		Provider: start(t),
		Resource: resource,
		Inputs:   func(*testing.T, preview.Resource) preview.Inputs { return shop() },
		Snapshot: func(*testing.T, preview.Resource) string { return writes(s) },
		Plant: func(t *testing.T, r preview.Resource) {
			t.Helper()
			send(t, s, http.MethodPost, "/environments?workspace="+s.Team(), `{"environment":{"name":"`+r.Name+`","values":[]}}`)
		},
		Restart: func(t *testing.T) providertest.Provider { return start(t) },
	})
}
