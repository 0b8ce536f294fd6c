package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Diagnose reads whether the account can be used, and writes nothing: that the token may also deploy is seen at the first
// deployment alone.
func (p *Workers) Diagnose(ctx context.Context) []preview.Finding {
	if only, ok := p.driver.(pages); ok { // which needs no script and no workers.dev
		return only.diagnose(ctx)
	}
	const scripts, subdomain = "Cloudflare Workers", "Cloudflare workers.dev"
	list, err := p.api.workers(ctx)
	if err != nil {
		return []preview.Finding{preview.Amiss(scripts, err.Error(), remedy(err))}
	}
	findings := []preview.Finding{preview.Fine(scripts, fmt.Sprintf("can be read: %d in the account", len(list)))}
	name, err := p.api.subdomain(ctx)
	if err != nil {
		return append(findings, preview.Amiss(subdomain, err.Error(), "open Workers & Pages in Cloudflare's dashboard once, and choose a subdomain there"))
	}
	if driver, ok := p.driver.(interface {
		diagnose(context.Context) []preview.Finding
	}); ok {
		findings = append(findings, driver.diagnose(ctx)...)
	}
	return append(findings, preview.Fine(subdomain, "previews answer below "+name+"."+p.hosts.Host))
}

// remedy is what an operator does about a failed call.
func remedy(err error) string {
	var api *apiError
	if errors.As(err, &api) && (api.status == http.StatusUnauthorized || api.status == http.StatusForbidden || api.status == http.StatusBadRequest) {
		return "make an API token in Cloudflare's dashboard (My profile → API tokens) with the permission Account · Workers Scripts · Edit for the account, and set CLOUDFLARE_API_TOKEN"
	}
	if errors.As(err, &api) && api.status == http.StatusNotFound {
		return "check CLOUDFLARE_ACCOUNT_ID: it is in the address of the dashboard's pages"
	}
	return "try again; if it stays, see https://www.cloudflarestatus.com"
}
