package postman

import (
	"context"
	"fmt"
	"net/http"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Diagnose reads whether the workspace can be used, and writes nothing.
func (p *Provider) Diagnose(ctx context.Context) []preview.Finding {
	what := "Postman workspace " + p.workspace
	collections, environments, err := p.api.workspace(ctx, p.workspace)
	if err != nil {
		return []preview.Finding{preview.Amiss(what, err.Error(), remedy(err))}
	}
	return []preview.Finding{preview.Fine(what, fmt.Sprintf("is open to the API key, and has %d collections and %d environments", len(collections), len(environments)))}
}

// remedy is what an operator does about a failed call.
func remedy(err error) string {
	switch status(err) {
	case http.StatusUnauthorized:
		return "make an API key at Postman (Settings → API keys) and set POSTMAN_API_KEY"
	case http.StatusForbidden, http.StatusNotFound:
		return "check POSTMAN_WORKSPACE_ID, and that the key's owner may edit that workspace"
	}
	return "try again; if it stays, see https://status.postman.com"
}
