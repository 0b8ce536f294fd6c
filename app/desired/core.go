package desired

import (
	"slices"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

// CoreWish says which commit a core environment should run.
type CoreWish struct {
	Kind preview.EnvironmentKind
	Head preview.Push
}

// CoreWishes picks, for every core environment that the policy names and that moves by push, the
// newest push among the branches it matches. An environment whose branches are all deleted is not
// in the answer: it stays as it is.
func CoreWishes(policy repoconfig.Policy, heads []preview.Push) []CoreWish {
	var wishes []CoreWish
	for _, kind := range []preview.EnvironmentKind{preview.EnvironmentDev, preview.EnvironmentStaging, preview.EnvironmentProd} {
		core, named := policy.Environments[kind]
		if !named || !core.DeploysOnPush() {
			continue
		}
		matching := slices.DeleteFunc(slices.Clone(heads), func(h preview.Push) bool {
			return h.Deleted || !repoconfig.BranchMatches(core.Branch, h.Branch)
		})
		if len(matching) == 0 {
			continue
		}
		newest := slices.MaxFunc(matching, func(a, b preview.Push) int { return a.PushedAt.Compare(b.PushedAt) })
		wishes = append(wishes, CoreWish{Kind: kind, Head: newest})
	}
	return wishes
}

// Core decides about a core environment at the commit that its row names. Nothing of one is ever
// reset or deleted: where the verdict is not Wanted, it stays as it is.
func Core(f Facts) Desired {
	f.Environment.Rebuild, f.Environment.ResetDatabase = false, false
	e := f.Environment
	core, named := f.Policy.Environments[e.Kind]
	switch {
	case !f.Configured, !named:
		return Desired{Verdict: Verdict{Outcome: Skipped, Reason: "The default branch's configuration does not name this environment."}}
	case f.Entitlement == nil:
		return Desired{Verdict: Verdict{Outcome: NotEntitled, Reason: "This installation is not on the operator's list."}}
	case !core.DeploysOnPush():
		return Desired{Verdict: Verdict{Outcome: Skipped, Reason: "This environment moves by promotion."}}
	}
	parent, ok := f.Entitlement.Parents[string(e.Kind)]
	if !ok {
		parent = f.Entitlement.Parents[f.Entitlement.DefaultParent]
	}
	mark := preview.Mark{Project: f.Project.ID, Environment: e.ID}
	resources := stack(f, mark, parent, f.Policy.Database.Data, e.SHA)
	for i, r := range resources {
		if r.Kind == preview.KindDatabase || r.Kind == preview.KindSchema {
			resources[i].LongLived = f.Entitlement.LongLived[e.Kind]
		}
	}
	return Desired{Verdict: Verdict{Outcome: Wanted}, Resources: resources}
}
