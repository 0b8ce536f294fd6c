package neon

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
		b, ok := lookUp(list, parent)
		if !ok {
			findings = append(findings, preview.Amiss(what, "is not in the project, which has "+strings.Join(names[:min(len(names), 10)], ", "),
				"name a branch of the project in NEON_BRANCH_… or in the parents of FLARESMITH_PARENTS"))
			continue
		}
		if p.isProduction(b) {
			findings = append(findings, preview.Amiss(what, "is NEON_BRANCH_PROD, the production branch", "name another branch as the parent: previews are never made from production"))
			continue
		}
		if err := p.unfit(list, b, parent); err != nil {
			todo := "name another branch in NEON_BRANCH_… or in the parents of FLARESMITH_PARENTS"
			if errors.Is(err, errNoProduction) {
				todo = "name a branch of the project in NEON_BRANCH_PROD, by its id if somebody may rename it"
			}
			findings = append(findings, preview.Amiss(what, err.Error(), todo))
			continue
		}
		findings = append(findings, p.diagnoseDatabase(ctx, what, b))
	}
	for _, kind := range slices.Sorted(maps.Keys(p.cores)) {
		name := p.cores[kind]
		if slices.Contains(parents, name) {
			continue
		}
		what := fmt.Sprintf("Neon branch %s of %s", name, kind)
		b, err := p.coreIn(list, name)
		if err != nil {
			findings = append(findings, preview.Amiss(what, said(err), "name a branch of the project in NEON_BRANCH_"+strings.ToUpper(string(kind))))
			continue
		}
		findings = append(findings, p.diagnoseDatabase(ctx, what, b))
	}
	return findings
}

// said is what an error tells people, without its class.
func said(err error) string {
	var invalid *preview.InvalidError
	if errors.As(err, &invalid) {
		return invalid.Error()
	}
	return err.Error()
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
