package handlers

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
	"github.com/palantir/go-githubapp/githubapp"

	"github.com/flaresmith/flaresmith/app/preview"
)

// CheckName is the name of our check run. Events about any other than this and SpecCheckName are not ours.
const CheckName = "Flaresmith / Preview"

// SpecCheckName is the name of our check run about specs.
const SpecCheckName = "Flaresmith / Spec"

// SecretsCheckName is the name of our other check run.
const SecretsCheckName = "Flaresmith / Secrets"

// Store is what all handlers together need; each takes only its part.
type Store interface {
	pullRequestStore
	installationStore
	repositoryStore
	pushStore
	commandStore
	checkStore
	mergeGroupStore
	scans
}

// All returns one handler for each event that the App listens to. appID is the App's own id: check
// runs of other Apps are ignored.
func All(s Store, appID int64) []githubapp.EventHandler {
	return []githubapp.EventHandler{
		Ping{},
		Installation{store: s},
		InstallationRepositories{store: s},
		InstallationTarget{store: s},
		Repository{store: s},
		Create{store: s},
		Delete{store: s},
		Push{store: s},
		PullRequest{store: s},
		IssueComment{store: s, appID: appID},
		PullRequestReview{store: s},
		PullRequestReviewComment{store: s},
		CheckRun{store: s, appID: appID},
		CheckSuite{store: s, appID: appID},
		MergeGroup{store: s},
	}
}

// scans are what is to be scanned for secrets.
type scans interface {
	// WantScan asks for a scan, if the repository's policy is that the server does it.
	WantScan(ctx context.Context, s preview.Scan) error
}

// projects finds the project that an event is about.
type projects interface {
	// EnsureProject makes the project if it is new, and lets its names follow newer facts.
	EnsureProject(ctx context.Context, r preview.Repository) (preview.Project, error)
}

// decode reads an event. The error does not quote the payload.
func decode[T any](event string, payload []byte) (T, error) {
	var v T
	if err := json.Unmarshal(payload, &v); err != nil {
		return v, invalid(event)
	}
	return v, nil
}

func invalid(event string) error {
	return preview.Invalid("payload is not a valid "+event+" event", preview.Problem{Message: "it does not have the shape that GitHub documents"})
}

// project returns the project of an event's repository. ok is false when the event names none in
// an installation, as deliveries of a plain repository webhook do.
func project(ctx context.Context, s projects, in *gh.Installation, r *gh.Repository) (p preview.Project, ok bool, err error) {
	facts := facts(in, r)
	if facts.InstallationID <= 0 || facts.RepoID <= 0 || facts.Owner == "" || facts.Name == "" {
		return preview.Project{}, false, nil
	}
	p, err = s.EnsureProject(ctx, facts)
	return p, err == nil, err
}

// facts is what an event says of its repository. The short form, which installation events carry,
// has no owner and no times.
func facts(in *gh.Installation, r *gh.Repository) preview.Repository {
	owner := r.GetOwner().GetLogin()
	if owner == "" {
		owner, _, _ = strings.Cut(r.GetFullName(), "/")
	}
	return preview.Repository{
		InstallationID: in.GetID(),
		RepoID:         r.GetID(),
		Owner:          owner,
		Name:           r.GetName(),
		DefaultBranch:  r.GetDefaultBranch(),
		FactsAt:        later(r.GetUpdatedAt().Time, r.GetPushedAt().Time),
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// wish is the wish for a pull request's preview.
func wish(p preview.Project, pr int) preview.Wish {
	return preview.Wish{ProjectID: p.ID, Kind: preview.EnvironmentPreview, Name: preview.PreviewName(p.Hash, pr), PR: pr}
}
