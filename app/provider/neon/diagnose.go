package neon

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Diagnose reads whether the project can be used as the operator says, and writes nothing. The parents are branches by name or id.
func (p *Branches) Diagnose(ctx context.Context, parents []string) []preview.Finding {
	what := "Neon project " + p.api.project
	list, err := p.api.branches(ctx, "")
	if err != nil {
		return []preview.Finding{preview.Amiss(what, err.Error(), remedy(err))}
	}
	findings := []preview.Finding{preview.Fine(what, fmt.Sprintf("is open to the API key, and has %d branches", len(list)))}
	p.pin(list)
	var names []string
	for _, b := range list {
		names = append(names, b.Name)
	}
	for _, parent := range parents {
		what := "Neon branch " + parent
		at := slices.IndexFunc(list, func(b branch) bool { return b.Name == parent || b.ID == parent })
		if at < 0 {
			findings = append(findings, preview.Amiss(what, "is not in the project, which has "+strings.Join(names[:min(len(names), 10)], ", "),
				"name a branch of the project in NEON_BRANCH_… or in the parents of FLARESMITH_PARENTS"))
			continue
		}
		if p.isProduction(list[at]) {
			findings = append(findings, preview.Amiss(what, "is NEON_BRANCH_PROD, the production branch", "name another branch as the parent: previews are never made from production"))
			continue
		}
		if err := p.unfit(list, list[at], parent); err != nil {
			findings = append(findings, preview.Amiss(what, err.Error(), "name another branch in NEON_BRANCH_… or in the parents of FLARESMITH_PARENTS"))
			continue
		}
		findings = append(findings, p.diagnoseDatabase(ctx, what, list[at]))
	}
	return findings
}

func (p *Branches) diagnoseDatabase(ctx context.Context, what string, b branch) preview.Finding {
	databases, err := p.api.databases(ctx, b.ID)
	if err != nil {
		return preview.Amiss(what, err.Error(), remedy(err))
	}
	d, err := p.pick(databases)
	if err != nil {
		return preview.Amiss(what, err.Error(), "set NEON_DATABASE to the database that previews shall use")
	}
	return preview.Fine(what, fmt.Sprintf("has the database %s of %s", d.Name, d.Owner))
}

// remedy is what an operator does about a failed call.
func remedy(err error) string {
	switch status(err) {
	case http.StatusUnauthorized:
		return "make an API key at Neon (Account settings → API keys, or the organisation's) and set NEON_API_KEY"
	case http.StatusForbidden, http.StatusNotFound:
		return "check NEON_PROJECT_ID (Neon's project settings), and that the key is of the organisation that owns the project"
	}
	return "try again; if it stays, see https://neonstatus.com"
}
