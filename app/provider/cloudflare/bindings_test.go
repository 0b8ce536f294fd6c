package cloudflare_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	sim "github.com/flaresmith/flaresmith/app/sim/cloudflare"
)

// What the default branch lists is bound, and nothing else: not by another kind, not because it is in the bundle.
func TestAccountBindings(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	p := provider(t, s)
	kinds := map[preview.BindingKind]string{preview.BindKV: "kv_namespace", preview.BindD1: "d1", preview.BindR2: "r2_bucket", preview.BindHyperdrive: "hyperdrive",
		preview.BindQueue: "queue", preview.BindVectorize: "vectorize", preview.BindDataset: "analytics_engine"}
	r := resource(t)
	r.Layout.Bindings = preview.Allowance{Account: true, Allow: []string{"kv:absent", "service:absent"}}
	in := inputs(`export default { async fetch(r, env) { if (!r.url.endsWith("/visit")) return new Response(); const before = await env.B_KV.get("visits"); await env.B_KV.put("visits", "1" + before); return new Response(String(before)); } };`)
	want := map[string]sim.Binding{"DATABASE_URL": {Type: "secret_text", Text: database.Reveal()}}
	for _, kind := range preview.BindingKinds() {
		if kind == preview.BindService {
			continue
		}
		name, target := "B_"+strings.ToUpper(string(kind)), "one-"+string(kind)
		s.Add(kinds[kind], target)
		r.Layout.Bindings.Allow = append(r.Layout.Bindings.Allow, preview.AllowEntry(kind, target))
		in.Bundle.Bindings = append(in.Bundle.Bindings, preview.Binding{Name: name, Kind: kind, Target: target})
		want[name] = sim.Binding{Type: kinds[kind], Text: target}
	}
	outputs := apply(t, p, r, in)
	script, _ := s.Script(r.Name)
	if diff := cmp.Diff(want, script.Bindings); diff != "" {
		t.Errorf("bindings (-want +got):\n%s", diff)
	}
	wantGet(t, s, outputs.URL+"visit", "null")
	wantGet(t, s, outputs.URL+"visit", "1null")
	if value, _ := s.Value("one-kv", "visits"); value != "11null" {
		t.Errorf("the namespace holds %q", value)
	}

	tests := []struct {
		name    string
		binding preview.Binding
		want    string // in the message
	}{
		{"not listed", preview.Binding{Name: "X", Kind: preview.BindKV, Target: "production"}, `leads to the kv "production", which bindings.allow`},
		{"listed as another kind", preview.Binding{Name: "X", Kind: preview.BindR2, Target: "one-kv"}, `leads to the r2 "one-kv", which bindings.allow`},
		{"an unknown kind", preview.Binding{Name: "X", Kind: "ai", Target: "one-kv"}, `leads to the ai "one-kv", which bindings.allow`},
		{"the name of another", preview.Binding{Name: "DATABASE_URL", Kind: preview.BindKV, Target: "one-kv"}, "is used twice"},
		{"not in the account", preview.Binding{Name: "X", Kind: preview.BindKV, Target: "absent"}, "KV namespace 'absent' not found"},
		{"no Worker of the account", preview.Binding{Name: "X", Kind: preview.BindService, Target: "absent"}, "'absent' which was not found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := r
			r.Name = resource(t).Name
			in := inputs(hello)
			in.Bundle.Bindings = []preview.Binding{tt.binding}
			_, err := p.Apply(t.Context(), r, in)
			if invalid := new(preview.InvalidError); !errors.As(err, &invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v does not say that it %s", err, tt.want)
			}
			if _, ok := s.Script(r.Name); ok {
				t.Error("a script is there")
			}
		})
	}
}
