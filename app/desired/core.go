package desired

import (
	"slices"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

// BranchHead is the newest push to a branch.
type BranchHead struct {
	Branch   string
	SHA      string
	PushedAt time.Time
	Deleted  bool
}

// CoreWish says which commit a core environment should run.
type CoreWish struct {
	Kind preview.EnvironmentKind
	Head BranchHead
}

// CoreWishes picks, for every core environment that the policy names and that moves by push, the
// newest push among the branches it matches. An environment whose branches are all deleted is not
// in the answer: it stays as it is.
func CoreWishes(policy repoconfig.Policy, heads []BranchHead) []CoreWish {
	var wishes []CoreWish
	for _, kind := range []preview.EnvironmentKind{preview.EnvironmentDev, preview.EnvironmentStaging, preview.EnvironmentProd} {
		core, named := policy.Environments[kind]
		if !named || !core.DeploysOnPush() {
			continue
		}
		matching := slices.DeleteFunc(slices.Clone(heads), func(h BranchHead) bool {
			return h.Deleted || !repoconfig.BranchMatches(core.Branch, h.Branch)
		})
		if len(matching) == 0 {
			continue
		}
		newest := slices.MaxFunc(matching, func(a, b BranchHead) int { return a.PushedAt.Compare(b.PushedAt) })
		wishes = append(wishes, CoreWish{Kind: kind, Head: newest})
	}
	return wishes
}

// Core is the resources of a core environment at the commit that its row names. Nothing of a core
// environment is ever reset or deleted.
func Core(e preview.Environment, projectID string, layout preview.Layout, parent string) []preview.Resource {
	e.Rebuild, e.ResetDatabase = false, false
	return stack(e, preview.Mark{Project: projectID, Environment: e.ID}, layout, parent, e.SHA)
}
