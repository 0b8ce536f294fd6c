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

// IssueComment handles "issue_comment": a new comment of a person on a pull request may be a
// command. Whether that person may give it is asked when it runs.
type IssueComment struct{ store commandStore }

// Handles implements githubapp.EventHandler.
func (IssueComment) Handles() []string { return []string{"issue_comment"} }

// Handle implements githubapp.EventHandler.
func (h IssueComment) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.IssueCommentEvent](event, payload)
	if err != nil {
		return err
	}
	if e.GetAction() != "created" || !e.GetIssue().IsPullRequest() || e.GetComment().GetUser().GetType() == "Bot" {
		return nil
	}
	verb, argument, ok := ParseCommand(e.GetComment().GetBody())
	if !ok {
		return nil
	}
	comment, number := e.GetComment(), e.GetIssue().GetNumber()
	if comment.GetID() <= 0 || number <= 0 {
		return invalid(event)
	}
	p, ok, err := project(ctx, h.store, e.GetInstallation(), e.GetRepo())
	if err != nil || !ok {
		return err
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
