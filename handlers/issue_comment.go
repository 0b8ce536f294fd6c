package handlers

import (
	"context"
	"fmt"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

type commandStore interface {
	projects
	// Command records a command and wants the environment, together; a known key changes nothing.
	Command(ctx context.Context, c preview.Command, w preview.Wish) error
	// SpecCommand records a command about specs and asks for a look at them, together; a known key changes nothing.
	SpecCommand(ctx context.Context, c preview.Command) error
}

type commentStore interface {
	commandStore
	scans
}

// IssueComment handles "issue_comment": a new comment of a person on a pull request may be a
// command. Whether that person may give it is asked when it runs. What a comment says, does not say any more, or said
// otherwise before, is reason to look for secrets.
type IssueComment struct {
	store commentStore
	appID int64
}

// Handles implements githubapp.EventHandler.
func (IssueComment) Handles() []string { return []string{"issue_comment"} }

// Handle implements githubapp.EventHandler.
func (h IssueComment) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.IssueCommentEvent](event, payload)
	if err != nil {
		return err
	}
	if ours, err := h.ours(event, payload); err != nil || ours || e.Issue == nil || !e.Issue.IsPullRequest() {
		return err
	}
	comment, number := e.GetComment(), e.GetIssue().GetNumber()
	if comment.GetID() <= 0 || number <= 0 {
		return invalid(event)
	}
	p, ok, err := project(ctx, h.store, e.GetInstallation(), e.GetRepo())
	if err != nil || !ok {
		return err
	}
	if err := h.store.WantScan(ctx, preview.Scan{ProjectID: p.ID, PR: number}); err != nil {
		return err
	}
	if e.GetAction() != "created" || comment.GetUser().GetType() == "Bot" {
		return nil
	}
	verb, argument, ok := ParseCommand(comment.GetBody())
	if !ok {
		return nil
	}
	command := preview.Command{
		Key:       fmt.Sprintf("comment:%d", comment.GetID()),
		ProjectID: p.ID,
		PR:        number,
		CommentID: comment.GetID(),
		Verb:      verb,
		Argument:  argument,
		Actor:     comment.GetUser().GetLogin(),
		ActorID:   comment.GetUser().GetID(),
		CreatedAt: comment.GetCreatedAt().Time,
	}
	if verb == preview.VerbSpec {
		return h.store.SpecCommand(ctx, command)
	}
	return h.store.Command(ctx, command, wish(p, number))
}

// ours reports whether the App itself wrote the comment: it edits the one on a preview with every step, and says
// nothing that anybody else wrote.
func (h IssueComment) ours(event string, payload []byte) (bool, error) {
	type made struct {
		Comment struct {
			App struct {
				ID int64 `json:"id"`
			} `json:"performed_via_github_app"`
		} `json:"comment"`
	}
	e, err := decode[made](event, payload)
	return e.Comment.App.ID == h.appID && h.appID != 0, err
}
