package server

import (
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Each tenant has the accounts of its row and no other's; who shares a key shares its breaker and budget.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	const cloud = `
    neon: {api_key: n-%, project_id: p-%, branches: {dev: br-%, prod: br-prod}}
    cloudflare: {api_token: c-shared, account_id: a-%}
    postman: {api_key: p-%, workspace_id: w-%}`
	text := "tenants:"
	for _, name := range []string{"acme", "globex"} {
		text += "\n  - account: " + name
		for _, r := range cloud {
			if r == '%' {
				text += name
				continue
			}
			text += string(r)
		}
	}
	file := filepath.Join(t.TempDir(), "tenants.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(map[string]string{"DATABASE_URL": "postgres://localhost/x", "MASTER_ENC_KEY": base64.StdEncoding.EncodeToString([]byte("thirty-two bytes, not one repeat")),
		"FLARESMITH_TENANTS_FILE": file})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{config: c, logger: slog.New(slog.DiscardHandler), metrics: newMetrics()}
	operator, err := s.table(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	acme, globex := operator.setOf(preview.Project{Owner: "acme", Name: "shop"}), operator.setOf(preview.Project{Owner: "Globex", Name: "shop"})
	want := map[preview.Kind]string{preview.KindDatabase: "neon/p-globex", preview.KindSchema: "neon/p-globex", preview.KindWorker: "cloudflare/a-globex", preview.KindCollection: "postman/w-globex"}
	if diff := cmp.Diff(want, globex.Places); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"neon", "cloudflare", "postman"}, globex.Offered); diff != "" {
		t.Errorf("offered (-want +got):\n%s", diff)
	}
	for kind := range want {
		if acme.Kinds[kind] == globex.Kinds[kind] {
			t.Errorf("both tenants have the same provider of %s", kind)
		}
		if provider, ok := operator.At(acme.Places[kind], kind); !ok || provider != acme.Kinds[kind] {
			t.Errorf("%s is not found at %s", kind, acme.Places[kind])
		}
	}
	if _, ok := operator.At("neon/p-initech", preview.KindDatabase); ok {
		t.Error("a place that nobody named was found")
	}
	shared := map[string]bool{}
	for i, calls := range globex.calls {
		shared[globex.Offered[i]] = calls == acme.calls[i]
	}
	if diff := cmp.Diff(map[string]bool{"neon": false, "cloudflare": true, "postman": false}, shared); diff != "" {
		t.Errorf("shared accounts (-want +got):\n%s", diff)
	}
	if nobody := operator.setOf(preview.Project{Owner: "initech", Name: "shop"}); len(nobody.Kinds) > 0 {
		t.Error("somebody who is not in the table has providers")
	}
	if e, ok := operator.row(preview.Project{Owner: "globex"}); !ok || e.Entitlement().Parents["dev"] != "br-globex" || e.Entitlement().Parents["prod"] != "" {
		t.Errorf("parents %v", e.Entitlement().Parents)
	}
}
