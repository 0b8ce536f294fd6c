package github

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

const maxComment = 65_536 // characters

// comment brings the one comment of a preview up to date.
func (w *publisher) comment(ctx context.Context, number int, body string, updateOnly bool) error {
	if body == "" || number == 0 || (updateOnly && w.state.CommentID == 0) {
		return nil
	}
	want, err := digest(body)
	if err != nil || w.state.CommentDigest == want {
		return err
	}
	id, err := w.upsertComment(ctx, number, w.state.CommentID, markerOf(body), body, !updateOnly)
	if err != nil {
		return err
	}
	w.state.CommentID, w.state.CommentDigest = id, want
	return nil
}

// Reply writes or edits the one comment of ours on the pull request that carries marker, and
// returns its id. The marker is put first where body lacks it.
func (a *App) Reply(ctx context.Context, p preview.Project, pr int, marker, body string) (int64, error) {
	if marker == "" {
		return 0, fmt.Errorf("reply on %s#%d: no marker", p.FullName(), pr)
	}
	if !strings.HasPrefix(body, marker) {
		body = marker + "\n" + body
	}
	return a.publisher(p, report.Published{}).upsertComment(ctx, pr, 0, marker, body, true)
}

// upsertComment edits the remembered comment if it is still there and ours, else the one that
// carries the marker, else writes a new one if it may. The answer is 0 if it may not.
func (w *publisher) upsertComment(ctx context.Context, number int, id int64, marker, body string, create bool) (int64, error) {
	body = clip(body, maxComment)
	comment, err := w.ownComment(ctx, id, marker)
	if errors.Is(err, preview.ErrNotFound) && !w.fresh {
		comment, err = w.findComment(ctx, number, marker)
	}
	switch {
	case errors.Is(err, preview.ErrNotFound) && !create:
		return 0, nil
	case errors.Is(err, preview.ErrNotFound):
		return w.writeComment(ctx, number, 0, body)
	case err != nil:
		return 0, err
	case comment.GetBody() != body:
		return w.writeComment(ctx, number, comment.GetID(), body)
	}
	return comment.GetID(), nil
}

// writeComment edits the comment of that id, or writes a new one for id 0.
func (w *publisher) writeComment(ctx context.Context, number int, id int64, body string) (int64, error) {
	ctx, cancel, err := forWrite(ctx)
	if err != nil {
		return 0, err
	}
	defer cancel()
	comment := &gh.IssueComment{Body: &body}
	if id == 0 {
		comment, _, err = w.client.Issues.CreateComment(ctx, w.project.Owner, w.project.Name, number, comment)
	} else {
		comment, _, err = w.client.Issues.EditComment(ctx, w.project.Owner, w.project.Name, id, comment)
	}
	if err != nil {
		return 0, classify(err, fmt.Sprintf("comment on %s#%d", w.project.FullName(), number))
	}
	return comment.GetID(), nil
}

// ownComment reads the remembered comment; preview.ErrNotFound when there is none, when a person
// deleted it, or when it is not the one that is meant: an App may edit what others wrote.
func (w *publisher) ownComment(ctx context.Context, id int64, marker string) (*gh.IssueComment, error) {
	if id == 0 {
		return nil, preview.ErrNotFound
	}
	bot, err := w.app.botLogin(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	comment, _, err := w.client.Issues.GetComment(ctx, w.project.Owner, w.project.Name, id)
	if err != nil {
		return nil, classify(err, fmt.Sprintf("comment %d of %s", id, w.project.FullName()))
	}
	if !isOurs(comment, bot, marker) {
		return nil, preview.ErrNotFound
	}
	return comment, nil
}

// findComment looks through all pages for a comment of the App itself that begins with marker.
func (w *publisher) findComment(ctx context.Context, number int, marker string) (*gh.IssueComment, error) {
	bot, err := w.app.botLogin(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	options := &gh.IssueListCommentsOptions{ListOptions: gh.ListOptions{PerPage: 100}}
	for {
		comments, response, err := w.client.Issues.ListComments(ctx, w.project.Owner, w.project.Name, number, options)
		if err != nil {
			return nil, classify(err, fmt.Sprintf("comments of %s#%d", w.project.FullName(), number))
		}
		if i := slices.IndexFunc(comments, func(c *gh.IssueComment) bool { return isOurs(c, bot, marker) }); i >= 0 {
			return comments[i], nil
		}
		if response.NextPage == 0 {
			return nil, preview.ErrNotFound
		}
		options.Page = response.NextPage
	}
}

// isOurs asks for author and marker: anybody can copy a marker.
func isOurs(c *gh.IssueComment, bot, marker string) bool {
	return c.GetUser().GetType() == "Bot" && strings.EqualFold(c.GetUser().GetLogin(), bot) &&
		marker != "" && strings.HasPrefix(c.GetBody(), marker)
}

// markerOf is the hidden first line of a body, empty when there is none.
func markerOf(body string) string {
	line, _, _ := strings.Cut(body, "\n")
	if strings.HasPrefix(line, "<!-- ") && strings.HasSuffix(line, " -->") {
		return line
	}
	return ""
}

// React adds a reaction to a comment; adding it twice is one. A comment that is gone is no error. Where GitHub's limits are short, it
// is left out, which is an error.
func (a *App) React(ctx context.Context, p preview.Project, commentID int64, content string) error {
	ctx, cancel := context.WithTimeout(outbound.Dispensable(ctx, detailLeft), callTimeout)
	defer cancel()
	what := fmt.Sprintf("reaction to comment %d of %s", commentID, p.FullName())
	if !slices.Contains([]string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}, content) {
		return fmt.Errorf("%s: %q is no reaction", what, clip(content, 20))
	}
	_, _, err := a.client(p, scopeReport).Reactions.CreateIssueCommentReaction(ctx, p.Owner, p.Name, commentID, content)
	if err = classify(err, what); errors.Is(err, preview.ErrNotFound) {
		return nil
	}
	return err
}
