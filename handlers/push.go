package handlers

import (
	"context"
	"regexp"
	"strings"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

type pushStore interface {
	projects
	syncs
	scans
	// RecordPush keeps the newest push of a branch and wants a sync.
	RecordPush(ctx context.Context, p preview.Push) error
}

var fullSHA = regexp.MustCompile(`^[0-9a-f]{40}$`)

// queueBranches are those of merge queues, which have events of their own.
const queueBranches = "gh-readonly-queue/"

// Push handles "push" to a branch. Of a tag only what it brought is scanned for secrets.
type Push struct{ store pushStore }

// Handles implements githubapp.EventHandler.
func (Push) Handles() []string { return []string{"push"} }

// Handle implements githubapp.EventHandler.
func (h Push) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.PushEvent](event, payload)
	if err != nil {
		return err
	}
	branch, ok := strings.CutPrefix(e.GetRef(), "refs/heads/")
	if !ok || branch == "" {
		return h.tag(ctx, event, &e)
	}
	if !fullSHA.MatchString(e.GetAfter()) {
		return invalid(event)
	}
	r := e.GetRepo()
	p, ok, err := project(ctx, h.store, e.GetInstallation(), &gh.Repository{
		ID: r.ID, Name: r.Name, FullName: r.FullName, Owner: r.Owner, DefaultBranch: r.DefaultBranch,
		UpdatedAt: r.UpdatedAt, PushedAt: r.PushedAt,
	})
	if err != nil || !ok {
		return err
	}
	if sha := existing(e.GetAfter()); sha != "" && !e.GetDeleted() && !strings.HasPrefix(branch, queueBranches) {
		before := existing(e.GetBefore())
		if !fullSHA.MatchString(before) {
			before = ""
		}
		if err := h.store.WantScan(ctx, preview.Scan{ProjectID: p.ID, SHA: sha, Before: before, Branch: branch}); err != nil {
			return err
		}
	}
	if r.GetPushedAt().IsZero() {
		return h.store.WantSync(ctx, p.ID) // can't be ordered: only a reason to look
	}
	return h.store.RecordPush(ctx, preview.Push{
		ProjectID: p.ID,
		Branch:    branch,
		Before:    existing(e.GetBefore()),
		SHA:       existing(e.GetAfter()),
		PushedAt:  r.GetPushedAt().Time,
		Deleted:   e.GetDeleted(),
	})
}

// existing is sha, or nothing if it is the zeros that GitHub writes for a branch that is not there.
func existing(sha string) string {
	if strings.Trim(sha, "0") == "" {
		return ""
	}
	return sha
}

// tag wants a scan of a new tag's commits and of its message, if it has one. What the default branch has was scanned when it got there.
func (h Push) tag(ctx context.Context, event string, e *gh.PushEvent) error {
	sha, object := e.GetHeadCommit().GetID(), e.GetAfter() // of a tag without an object of its own they are one
	if !strings.HasPrefix(e.GetRef(), "refs/tags/") || e.GetDeleted() || sha == "" {
		return nil
	}
	if !fullSHA.MatchString(sha) || !fullSHA.MatchString(object) {
		return invalid(event)
	}
	if object == sha {
		object = ""
	}
	r := e.GetRepo()
	p, ok, err := project(ctx, h.store, e.GetInstallation(), &gh.Repository{
		ID: r.ID, Name: r.Name, FullName: r.FullName, Owner: r.Owner, DefaultBranch: r.DefaultBranch, UpdatedAt: r.UpdatedAt, PushedAt: r.PushedAt,
	})
	if err != nil || !ok {
		return err
	}
	return h.store.WantScan(ctx, preview.Scan{ProjectID: p.ID, SHA: sha, Branch: e.GetRef(), Tag: object})
}
