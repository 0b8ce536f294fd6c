package cloudflare_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/app/provider/cloudflare"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// What an operator is told of an account, by driver: the permission that it needs, and what to do where the token lacks it or something else
// is amiss. A driver does not look at what it does not need. Nothing is written.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	const (
		scripts = "Account · Workers Scripts · Edit"
		pages   = "Account · Cloudflare Pages · Edit"
		list    = "GET " + account + "/workers/workers"
		hosts   = "GET " + account + "/workers/subdomain"
		project = "GET " + pagesProjects
	)
	s := world(t, nil)
	denied := saying(http.StatusForbidden, 10000)
	absent := saying(http.StatusNotFound, 10007)
	tests := []struct {
		name   string
		driver cloudflare.Driver
		route  string // that fails; empty: none
		fault  fault.Fault
		want   []string // lines
	}{
		{"all is well", cloudflare.DriverScripts, "", fault.Fault{}, []string{"ok Cloudflare Workers: can be read: 0 in the account; deployments need the token's permission " + scripts, "ok Cloudflare workers.dev: previews answer below sim."}},
		{"no scripts", cloudflare.DriverScripts, list, denied, []string{"FAIL Cloudflare Workers: cloudflare answers 403: No. [code: 10000] → give the API token the permission " + scripts}},
		{"an unknown token", cloudflare.DriverScripts, list, saying(http.StatusBadRequest, 6003), []string{"FAIL Cloudflare Workers: cloudflare answers 400: No. [code: 6003] → give the API token the permission " + scripts}},
		{"another account", cloudflare.DriverScripts, list, saying(http.StatusNotFound, 7003), []string{"FAIL Cloudflare Workers: cloudflare answers 404: No. [code: 7003] → check CLOUDFLARE_ACCOUNT_ID"}},
		{"an outage", cloudflare.DriverScripts, list, fault.Fault{Status: http.StatusInternalServerError}, []string{"FAIL Cloudflare Workers: cloudflare answers 500: An unknown error has occurred. [code: 10013] → try again"}},
		{"hosts that can't be read", cloudflare.DriverScripts, hosts, denied, []string{"ok Cloudflare Workers: ", "FAIL Cloudflare workers.dev: cloudflare answers 403: No. [code: 10000] → give the API token the permission " + scripts}},
		{"no hosts", cloudflare.DriverScripts, hosts, absent, []string{"ok Cloudflare Workers: ", "FAIL Cloudflare workers.dev: the account has no workers.dev subdomain: choose one in Cloudflare's dashboard under Workers → open Workers & Pages"}},
		{"no projects", cloudflare.DriverScripts, project, denied, []string{"ok Cloudflare Workers: ", "ok Cloudflare workers.dev: "}},

		{"all is well", cloudflare.DriverPreviews, "", fault.Fault{}, []string{"ok Cloudflare Workers: can be read: 0 in the account; deployments need the token's permission " + scripts, "ok Cloudflare workers.dev: ",
			"ok Cloudflare Worker Previews: the Worker shop is made with the first preview"}},
		{"no scripts", cloudflare.DriverPreviews, list, denied, []string{"FAIL Cloudflare Workers: cloudflare answers 403: No. [code: 10000] → give the API token the permission " + scripts}},
		{"no hosts", cloudflare.DriverPreviews, hosts, absent, []string{"ok Cloudflare Workers: ", "FAIL Cloudflare workers.dev: "}},
		{"no parent", cloudflare.DriverPreviews, list + "/{script_name}", denied, []string{"ok Cloudflare Workers: ", "ok Cloudflare workers.dev: ",
			"FAIL Cloudflare Worker Previews: cloudflare answers 403: No. [code: 10000] → give the API token the permission " + scripts}},
		{"no projects", cloudflare.DriverPreviews, project, denied, []string{"ok Cloudflare Workers: ", "ok Cloudflare workers.dev: ", "ok Cloudflare Worker Previews: "}},

		{"all is well", cloudflare.DriverPages, "", fault.Fault{}, []string{"ok Cloudflare Pages: can be read: 0 projects in the account, which may have 100 unless Cloudflare allows more; deployments need the token's permission " + pages}},
		{"no projects", cloudflare.DriverPages, project, denied, []string{"FAIL Cloudflare Pages: cloudflare answers 403: No. [code: 10000] → give the API token the permission " + pages}},
		{"an outage", cloudflare.DriverPages, project, fault.Fault{Drop: true}, []string{"FAIL Cloudflare Pages: "}},
		{"no scripts", cloudflare.DriverPages, list, denied, []string{"ok Cloudflare Pages: "}},
		{"no hosts", cloudflare.DriverPages, hosts, absent, []string{"ok Cloudflare Pages: "}},
	}
	for _, tt := range tests {
		t.Run(string(tt.driver)+" "+tt.name, func(t *testing.T) {
			if tt.route != "" {
				s.SetFaults(fault.OnRoute(tt.route, tt.fault))
				defer s.SetFaults()
			}
			wantFindings(t, drivers()[tt.driver].provider(t, s), tt.want)
		})
	}
	if n := writes(s); n != "0" {
		t.Errorf("%s writes", n)
	}
}

// What an operator is told of the parent Worker.
func TestPreviewsDiagnose(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	p := previewer(t, s)
	wants := func(want string) {
		t.Helper()
		wantFindings(t, p, []string{"ok Cloudflare Workers: ", "ok Cloudflare workers.dev: ", want})
	}
	wants("ok Cloudflare Worker Previews: the Worker shop is made with the first preview")
	call(t, s, http.MethodPost, "", map[string]any{"name": parent})
	wants("FAIL Cloudflare Worker Previews: previews of the Worker shop have no URLs → turn preview URLs on in its settings")
	call(t, s, http.MethodPatch, "/"+parent, map[string]any{"subdomain": map[string]bool{"previews_enabled": true}})
	wants("ok Cloudflare Worker Previews: 0 of the Worker shop")
	if n := writes(s); n != "2" {
		t.Errorf("%s writes", n)
	}
}

// wantFindings wants exactly these findings, each with the beginning of its line.
func wantFindings(t *testing.T, p *cloudflare.Workers, want []string) {
	t.Helper()
	var lines []string
	for _, f := range p.Diagnose(t.Context()) {
		line := "ok " + f.What + ": " + f.Detail
		if !f.OK {
			line = "FAIL " + f.What + ": " + f.Detail + " → " + f.Remedy
		}
		lines = append(lines, line)
	}
	good := len(lines) == len(want)
	for i := range min(len(lines), len(want)) {
		good = good && strings.HasPrefix(lines[i], want[i])
	}
	if !good {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}
