package cloudflare_test

import (
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
	"github.com/flaresmith/flaresmith/app/racetest"
	sim "github.com/flaresmith/flaresmith/app/sim/cloudflare"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// withFile adds a static file that no other preview has, so that there is something to upload.
func withFile(in preview.Inputs, content string) preview.Inputs {
	sum := sha256.Sum256([]byte(content))
	in.Source = fstest.MapFS{"public/a.txt": {Data: []byte(content)}}
	in.Bundle.Assets = &preview.Assets{Directory: "public", HTML: preview.HTMLAuto, NotFound: preview.NotFoundNone,
		Files: []preview.Asset{{Path: "/a.txt", Size: int64(len(content)), Hash: hex.EncodeToString(sum[:])}}}
	return in
}

// eventually tries as the reconciler does: what is transient again, and nothing else.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	pause := 20 * time.Millisecond
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(pause) {
		pause = min(2*pause, time.Second)
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

// What fails for good is said, and is no reason to try again at once.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
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

// An account that has as many Workers as it may is told as that, and tried again: others go.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	s := world(t, func(c *sim.Config) { c.Scripts = 1 })
	p, one, two := provider(t, s), resource(t), resource(t)
	if _, err := p.Apply(t.Context(), one, inputs(hello)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Apply(t.Context(), two, inputs(hello)); !errors.Is(err, preview.ErrNoRoom) || preview.Classify(err) != preview.ClassTransient {
		t.Errorf("one too many: %v", err)
	}
	if err := p.Delete(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is room", func() error {
		_, err := p.Apply(t.Context(), two, inputs(hello))
		return err
	})
}

// A Worker whose host is gone with its account's subdomain is unfinished, and goes with its pull request.
func TestHostIsGone(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	r := resource(t)
	if _, err := provider(t, s).Apply(t.Context(), r, inputs(hello)); err != nil {
		t.Fatal(err)
	}
	s.SetFaults(fault.OnRoute("GET "+account+"/workers/subdomain", fault.Fault{Status: http.StatusNotFound, Body: `{"success":false,"errors":[{"code":10007,"message":"none"}]}`}))
	p := provider(t, s) // which has not asked for it yet
	if seen, err := p.Observe(t.Context(), r); err != nil || !seen.Exists || !seen.Owned || seen.Digest != "" {
		t.Errorf("observed: %+v, %v", seen, err)
	}
	if err := p.Delete(t.Context(), r); err != nil || len(s.Names()) != 0 {
		t.Errorf("deleted: %v, %v", err, s.Names())
	}
	s.SetFaults()
}
