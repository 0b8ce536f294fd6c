package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Permissions of an API token that the drivers need, each one of them, as Cloudflare's dashboard calls them.
const (
	permissionScripts = "Account · Workers Scripts · Edit"
	permissionPages   = "Account · Cloudflare Pages · Edit"
)

// Diagnose reads whether the account can be used by the driver, and writes nothing. What the token lacks even to read is told; that it may also
// deploy is seen at the first deployment alone, so the permission for that is named, too, where all is well.
func (p *Workers) Diagnose(ctx context.Context) []preview.Finding { return p.driver.diagnose(ctx) }

func (p scripts) diagnose(ctx context.Context) []preview.Finding {
	const what, hosts = "Cloudflare Workers", "Cloudflare workers.dev"
	list, err := p.api.workers(ctx)
	if err != nil {
		return []preview.Finding{preview.Amiss(what, err.Error(), remedy(err, permissionScripts))}
	}
	findings := []preview.Finding{preview.Fine(what, fmt.Sprintf("can be read: %d in the account; deployments need the token's permission %s", len(list), permissionScripts))}
	name, err := p.api.subdomain(ctx)
	switch {
	case errors.Is(err, errNoSubdomain):
		return append(findings, preview.Amiss(hosts, err.Error(), "open Workers & Pages in Cloudflare's dashboard once, and choose a subdomain there"))
	case err != nil:
		return append(findings, preview.Amiss(hosts, err.Error(), remedy(err, permissionScripts)))
	}
	return append(findings, preview.Fine(hosts, "previews answer below "+name+"."+p.hosts.Host))
}

// diagnose adds whether the parent can be used to what scripts need: the Worker is one, and its previews are at hosts of the same subdomain.
func (p previews) diagnose(ctx context.Context) []preview.Finding {
	findings := scripts{p.Workers}.diagnose(ctx)
	if !findings[len(findings)-1].OK {
		return findings
	}
	return append(findings, p.diagnoseParent(ctx))
}

func (p previews) diagnoseParent(ctx context.Context) preview.Finding {
	const what = "Cloudflare Worker Previews"
	now, err := p.api.worker(ctx, p.parent)
	switch {
	case err != nil:
		return preview.Amiss(what, err.Error(), remedy(err, permissionScripts))
	case now == nil:
		return preview.Fine(what, "the Worker "+p.parent+" is made with the first preview")
	case !now.Subdomain.Previews:
		return preview.Amiss(what, "previews of the Worker "+p.parent+" have no URLs", "turn preview URLs on in its settings, or name another one in CLOUDFLARE_PARENT_WORKER")
	}
	all, err := p.api.previews(ctx, p.parent)
	if err != nil {
		return preview.Amiss(what, err.Error(), remedy(err, permissionScripts))
	}
	return preview.Fine(what, fmt.Sprintf("%d of the Worker %s", len(all), p.parent))
}

func (p pages) diagnose(ctx context.Context) []preview.Finding {
	const what = "Cloudflare Pages"
	all, err := p.api.projects(ctx)
	if err != nil {
		return []preview.Finding{preview.Amiss(what, err.Error(), remedy(err, permissionPages))}
	}
	return []preview.Finding{preview.Fine(what, fmt.Sprintf("can be read: %d projects in the account, which may have 100 unless Cloudflare allows more; deployments need the token's permission %s",
		len(all), permissionPages))}
}

// remedy is what an operator does about a failed call that needs a permission. Cloudflare answers a token that it does not know and one
// that lacks the permission alike.
func remedy(err error, permission string) string {
	var api *apiError
	switch {
	case !errors.As(err, &api):
	case api.status == http.StatusUnauthorized, api.status == http.StatusForbidden, api.status == http.StatusBadRequest:
		return "give the API token the permission " + permission + " for the account in Cloudflare's dashboard (My profile → API tokens), or make one that has it, and set CLOUDFLARE_API_TOKEN"
	case api.status == http.StatusNotFound:
		return "check CLOUDFLARE_ACCOUNT_ID: it is in the address of the dashboard's pages"
	}
	return "try again; if it stays, see https://www.cloudflarestatus.com"
}
