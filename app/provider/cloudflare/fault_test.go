package cloudflare_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

const (
	account = "/accounts/{account_id}"
	script  = account + "/workers/scripts/{script_name}"
)

// failures are those of reads and of changes.
func failures() (reads, changes map[string]fault.Fault) {
	reads = map[string]fault.Fault{
		"500":       {Status: http.StatusInternalServerError},
		"10013":     {Status: http.StatusBadRequest, Body: `{"success":false,"errors":[{"code":10013,"message":"An unknown error has occurred."}],"result":null}`},
		"429":       {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
		"garbage":   {Status: http.StatusOK, Body: "<html>"},
		"no result": {Status: http.StatusOK, Body: `{"success":false,"errors":[],"messages":[],"result":null}`},
		"dropped":   {Drop: true},
	}
	changes = map[string]fault.Fault{
		"503":           {Status: http.StatusServiceUnavailable},
		"garbage":       {Status: http.StatusOK, Body: "<html>"},
		"not yet there": {Status: http.StatusNotFound, Body: `{"success":false,"errors":[{"code":10007,"message":"This Worker does not exist on your account."}],"result":null}`},
		"done but 504":  {Status: http.StatusGatewayTimeout, After: true},
		"done, dropped": {Drop: true, After: true},
		"done, garbage": {Status: http.StatusOK, Body: "{", After: true},
	}
	return reads, changes
}

// withFile adds a static file that no other preview has, so that there is something to upload.
func withFile(in preview.Inputs, content string) preview.Inputs {
	sum := sha256.Sum256([]byte(content))
	in.Source = fstest.MapFS{"public/a.txt": {Data: []byte(content)}}
	in.Bundle.Assets = &preview.Assets{Directory: "public", HTML: preview.HTMLAuto, NotFound: preview.NotFoundNone,
		Files: []preview.Asset{{Path: "/a.txt", Size: int64(len(content)), Hash: hex.EncodeToString(sum[:])}}}
	return in
}

// Whatever fails, and whenever, the next tries end with exactly one finished script, and nothing of it is left after its
// deletion.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	reads, changes := failures()
	routes := map[string]map[string]fault.Fault{
		"GET " + account + "/workers/workers/{script_name}": reads,
		"GET " + account + "/workers/subdomain":             reads,
		"POST " + script + "/assets-upload-session":         changes,
		"POST " + account + "/workers/assets/upload":        changes,
		"PUT " + script:                        changes,
		"POST " + script + "/subdomain":        changes,
		"PATCH " + script + "/script-settings": changes,
		"DELETE " + script:                     changes,
	}
	for route, faults := range routes {
		for name, f := range faults {
			t.Run(route+" "+name, func(t *testing.T) {
				p := provider(t, s)
				r := resource(t)
				in := withFile(inputs(hello), r.Name)
				s.SetFaults(fault.Nth(1, 1, fault.OnRoute(route, f)))
				defer s.SetFaults()
				eventually(t, "apply", func() error {
					_, err := p.Apply(t.Context(), r, in)
					return err
				})
				observed, err := p.Observe(t.Context(), r)
				if err != nil || observed.Digest != "1" {
					t.Errorf("observed %+v, %v", observed, err)
				}
				eventually(t, "delete", func() error { return p.Delete(t.Context(), r) })
				if _, left := s.Script(r.Name); left {
					t.Error("the script is left")
				}
			})
		}
	}
}

// eventually tries as the reconciler does: what is transient again, and nothing else.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for range 6 {
		if err = try(); err == nil {
			return
		}
		if preview.Classify(err) != preview.ClassTransient {
			t.Fatalf("%s: class %s: %v", what, preview.Classify(err), err)
		}
		noSecret(t, err)
	}
	t.Fatalf("%s: %v", what, err)
}

func noSecret(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{token, password} {
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
			t.Fatalf("a secret in %v", err)
		}
	}
}

// A crash at any point of an Apply, and of a later update, leaves nothing that looks finished.
func TestCrashes(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	for _, route := range []string{"PUT " + script, "POST " + script + "/subdomain", "PATCH " + script + "/script-settings"} {
		r := resource(t)
		for _, digest := range []string{"1", "2"} {
			r.Digest = digest
			ctx, crash := context.WithCancel(t.Context())
			s.SetFaults(func(request *http.Request) *fault.Fault {
				if fault.RouteOf(request) != route {
					return nil
				}
				crash()
				return &fault.Fault{Delay: time.Minute} // until nobody waits for the answer
			})
			_, err := provider(t, s).Apply(ctx, r, inputs(hello))
			s.SetFaults()
			crash()
			if err == nil {
				t.Fatalf("%s was not asked for", route)
			}
			p := provider(t, s)
			if o, err := p.Observe(t.Context(), r); err != nil || o.Exists && !o.Owned || o.Digest == digest {
				t.Errorf("%s: observed %+v, %v", route, o, err)
			}
			apply(t, p, r, inputs(hello))
			if o, err := p.Observe(t.Context(), r); err != nil || o.Digest != digest {
				t.Errorf("%s: after the next apply %+v, %v", route, o, err)
			}
		}
	}
}

// What fails for good is said, and is no reason to try again at once.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	r := resource(t)
	wrong := configuration(s)
	wrong.Token = "cf-wrong-token"
	if _, err := with(t, wrong).Apply(t.Context(), r, inputs(hello)); preview.Classify(err) != preview.ClassPermanent || strings.Contains(fmt.Sprint(err), "cf-wrong-token") {
		t.Errorf("a wrong token: %v", err)
	}
	s.SetFaults(fault.OnRoute("GET "+account+"/workers/subdomain", fault.Fault{Status: http.StatusNotFound, Body: `{"success":false,"errors":[{"code":10007,"message":"none"}]}`}))
	defer s.SetFaults()
	if _, err := provider(t, s).Apply(t.Context(), r, inputs(hello)); preview.Classify(err) != preview.ClassPermanent || !strings.Contains(fmt.Sprint(err), "no workers.dev subdomain") {
		t.Errorf("no subdomain: %v", err)
	}
	if n := writes(s); n != "0" {
		t.Errorf("%s writes", n)
	}
}

// Once Cloudflare limits an account it refuses everything for five minutes, so that is how long we wait.
func TestLimited(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	for _, tt := range []struct {
		header http.Header
		want   time.Duration
	}{{nil, 5 * time.Minute}, {http.Header{"Retry-After": {"77"}}, 77 * time.Second}} {
		s.SetFaults(func(*http.Request) *fault.Fault {
			return &fault.Fault{Status: http.StatusTooManyRequests, Header: tt.header}
		})
		plain := configuration(s)
		plain.Transport = nil // outbound would wait itself
		_, err := with(t, plain).Observe(t.Context(), resource(t))
		var transient *preview.TransientError
		if preview.Classify(err) != preview.ClassTransient || !errors.As(err, &transient) || transient.After != tt.want {
			t.Errorf("%v: %v after %v, want %v", tt.header, err, transient, tt.want)
		}
	}
	s.SetFaults()
}
