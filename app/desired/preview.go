package desired

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

// Facts is everything that decides about a preview, as read a moment ago.
type Facts struct {
	Project     preview.Project
	Environment preview.Environment
	PullRequest preview.PullRequest
	// Configured is false when neither the repository nor its organisation has a configuration.
	Configured bool
	// ConfigProblems are set when the default branch's file is invalid and no earlier one was valid.
	ConfigProblems []preview.Problem
	Policy         repoconfig.Policy // of the default branch
	Layout         preview.Layout    // of the pull request's base
	// Offered are the names of the providers that the project may use, as the policy may pick them.
	Offered      []string
	Entitlement  *preview.Entitlement // nil: the operator listed neither the installation nor the repository
	ChangedFiles []string             // read only when the policy asks for paths
	Now          time.Time
}

// Outcome is the kind of a verdict.
type Outcome string

// The outcomes. Only Wanted has resources.
const (
	Wanted       Outcome = "wanted"
	Closed       Outcome = "closed"
	Unconfigured Outcome = "unconfigured" // nothing happens and nothing is posted
	Invalid      Outcome = "invalid"      // the configuration itself has problems
	Skipped      Outcome = "skipped"
	NotEntitled  Outcome = "not_entitled"
	Queued       Outcome = "queued" // wanted, but the project's places are taken; see reconcile
	Held         Outcome = "held"
	Expired      Outcome = "expired"
)

// Verdict says whether a preview should exist, and why not.
type Verdict struct {
	Outcome Outcome
	Reason  string // one sentence for a person; may contain hostile text
	Hint    string
}

// Desired is what should exist.
type Desired struct {
	Verdict   Verdict
	Resources []preview.Resource
}

// Preview decides about one pull request's preview.
func Preview(f Facts) Desired {
	verdict := judge(f)
	if verdict.Outcome != Wanted {
		return Desired{Verdict: verdict}
	}
	origin := f.Policy.Database.Origin(f.PullRequest.AuthorIsBot)
	parent, ok := f.Entitlement.Parents[cmp.Or(origin.Parent, f.Entitlement.DefaultParent)]
	if !ok {
		return Desired{Verdict: Verdict{Outcome: Invalid,
			Reason: fmt.Sprintf("preview.database names the parent %q, which the operator does not offer.", origin.Parent),
			Hint:   "Pick one of the names that the operator configured, or leave it out."}}
	}
	mark := preview.Mark{Project: f.Project.ID, Environment: f.Environment.ID}
	return Desired{Verdict: verdict, Resources: stack(f, mark, parent, origin.Data, f.PullRequest.HeadSHA)}
}

// judge lists the reasons against a preview, the most final first.
func judge(f Facts) Verdict {
	pr, policy := f.PullRequest, f.Policy
	skip := func(format string, args ...any) Verdict {
		return Verdict{Outcome: Skipped, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case !pr.Open:
		return Verdict{Outcome: Closed, Reason: "The pull request is closed."}
	case !f.Configured:
		return Verdict{Outcome: Unconfigured}
	case len(f.ConfigProblems) > 0:
		return Verdict{Outcome: Invalid, Reason: "The configuration on the default branch is invalid."}
	case f.Entitlement == nil:
		return Verdict{Outcome: NotEntitled,
			Reason: "This installation is not on the operator's list, so nothing can be created for it.",
			Hint:   "Ask the operator of this Flaresmith server to add the organisation."}
	case !policy.Enabled:
		return skip("Previews are turned off: preview.enabled is false.")
	case unoffered(f) != "":
		return Verdict{Outcome: Invalid, Reason: fmt.Sprintf("preview.providers asks for %s, which the operator does not offer here.", unoffered(f))}
	case pr.Fork:
		return skip("The head is in a fork. Code from forks is not deployed.")
	case !baseAllowed(policy, pr.BaseRef):
		return skip("The base branch %s matches none of preview.base_branches.", pr.BaseRef)
	case pr.Draft && !policy.Drafts:
		return skip("The pull request is a draft and preview.drafts is false.")
	case pr.AuthorIsBot && !policy.Bots:
		return skip("The author is a bot and preview.bots is false.")
	}
	if reason := labelReason(policy, pr.Labels); reason != "" {
		return skip("%s", reason)
	}
	if len(f.ChangedFiles) > 0 && policy.IgnoresAll(f.ChangedFiles) {
		return skip("Every changed file matches preview.paths.ignore.")
	}
	switch {
	case f.Environment.Held:
		return Verdict{Outcome: Held, Reason: "The preview was destroyed by command.",
			Hint: "Comment /flaresmith preview to bring it back."}
	case IsExpired(f.Environment, pr.HeadSHA, f.Now):
		return Verdict{Outcome: Expired, Reason: "The preview's time is up.",
			Hint: "Push a commit or comment /flaresmith preview to bring it back."}
	}
	return Verdict{Outcome: Wanted}
}

// IsExpired reports whether the preview's time is up at this head: a newer commit revives it.
func IsExpired(e preview.Environment, headSHA string, now time.Time) bool {
	if e.ExpiredSHA != "" {
		return e.ExpiredSHA == headSHA
	}
	return e.HeadSHA == headSHA && !e.ExpiresAt.IsZero() && !now.Before(e.ExpiresAt)
}

// ExpiresAt is when a wanted preview's time is up: its lifetime begins anew with each head, unless more is left of what
// it had, which a person may have extended.
func ExpiresAt(f Facts) time.Time {
	e := f.Environment
	if e.HeadSHA == f.PullRequest.HeadSHA && !e.ExpiresAt.IsZero() {
		return e.ExpiresAt
	}
	if anew := f.Now.Add(f.Policy.TTL); anew.After(e.ExpiresAt) {
		return anew
	}
	return e.ExpiresAt
}

// unoffered is the first provider that the policy asks for and the operator does not offer; empty: none.
func unoffered(f Facts) string {
	wanted := f.Policy.Providers
	for _, name := range []string{wanted.Database, wanted.Worker, wanted.Collection} {
		if name != "" && !slices.Contains(f.Offered, name) {
			return name
		}
	}
	return ""
}

func baseAllowed(policy repoconfig.Policy, base string) bool {
	return slices.ContainsFunc(policy.BaseBranches, func(pattern string) bool {
		return repoconfig.BranchMatches(pattern, base)
	})
}

func labelReason(policy repoconfig.Policy, labels []string) string {
	for _, label := range policy.Labels.Skip {
		if slices.Contains(labels, label) {
			return fmt.Sprintf("The label %s is one of preview.labels.skip.", label)
		}
	}
	if len(policy.Labels.Require) == 0 {
		return ""
	}
	for _, label := range policy.Labels.Require {
		if slices.Contains(labels, label) {
			return ""
		}
	}
	return "None of preview.labels.require is set."
}

// stack is the resources of one environment at one commit. Each digest sums up what the resource
// depends on; a new commit touches everything but the database itself, and another lifetime none of them.
func stack(f Facts, mark preview.Mark, parent string, data repoconfig.Data, sha string) []preview.Resource {
	e, layout := f.Environment, f.Layout
	layout.Bindings = allowance(f)
	base := preview.Resource{Mark: mark, Layout: layout, SHA: sha, Keep: e.Kind.Core()}
	if !e.Kind.Core() {
		base.ExpiresAt = ExpiresAt(f)
	}
	resource := func(key preview.Key, parent string, about ...any) preview.Resource {
		r := base
		r.Kind, r.Worker, r.Name, r.Parent = key.Kind, key.Worker, preview.WorkerName(e.Name, key.Worker), parent
		r.Digest = digest(append(about, r.Kind, r.Name, parent))
		return r
	}
	database := resource(preview.Key{Kind: preview.KindDatabase}, parent, data)
	database.SchemaOnly = data == repoconfig.DataSchemaOnly
	resources := []preview.Resource{
		database,
		resource(preview.Key{Kind: preview.KindSchema}, parent, sha, layout.Migrations, layout.MigrationFormat, layout.Seed),
	}
	collection := []any{sha, layout.Collections}
	for i, w := range layout.Workers {
		key, about := preview.Key{Kind: preview.KindWorker}, []any{sha, w.WranglerConfig, w.Entry, w.DatabaseBinding}
		if i > 0 {
			key.Worker = w.Name
		}
		if w.Name != "" { // it may be bound to any other, and the collection knows them all
			about = append(about, layout.Workers)
			collection = []any{sha, layout.Collections, layout.Workers}
		}
		if layout.Bindings.Account { // a new list counts for what is deployed already
			about = append(about, layout.Bindings.Allow)
		}
		resources = append(resources, resource(key, "", about...))
	}
	resources = append(resources, resource(preview.Key{Kind: preview.KindCollection}, "", collection...))
	requireApproval := !e.Kind.Core() && f.Policy.Migrations.Destructive == repoconfig.DestructiveRequireApproval
	for i := range resources {
		resources[i].RequireApproval, resources[i].Approved = requireApproval, sha != "" && e.ApprovedSHA == sha
		resources[i].Reset = e.Rebuild
	}
	resources[0].Reset = e.ResetDatabase
	return resources
}

// allowance is what the environment's Workers may be bound to.
func allowance(f Facts) preview.Allowance {
	a := preview.Allowance{Account: slices.Contains(f.Offered, "cloudflare")}
	if a.Account {
		for _, entry := range f.Policy.Bindings.Allow {
			if f.Entitlement.MayBind(entry) {
				a.Allow = append(a.Allow, entry)
			} else {
				a.Withheld = append(a.Withheld, entry)
			}
		}
	}
	if !f.Environment.Kind.Core() {
		a.Section = preview.PreviewSection
	}
	return a
}

// digest is the first 16 bytes of SHA-256 over the values as JSON, in hexadecimal.
func digest(about []any) string {
	text, err := json.Marshal(about)
	if err != nil { // strings and numbers only: can't fail
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
