package specsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// The arguments of the command.
const (
	argumentCheck = "check"
	argumentApply = "apply"
)

// answer is what a person is told, and what is recorded.
type answer struct {
	text    string // Markdown
	outcome preview.CommandOutcome
	commit  string
}

func done(text, commit string) answer {
	return answer{text: text, outcome: preview.CommandDone, commit: commit}
}
func refused(text string) answer { return answer{text: text, outcome: preview.CommandRefused} }
func invalid(text string) answer { return answer{text: text, outcome: preview.CommandInvalid} }

// command does one command: it is acknowledged, carried out, answered and recorded. A crash in between does it
// again, which finds what was done.
func (l *look) command(ctx context.Context, c preview.Command, served bool) error {
	// Nothing is said where nothing is configured, and on a fork's pull request beyond its check.
	if !served || l.pr.Fork {
		return l.Store.FinishSpecCommand(ctx, c, preview.CommandDropped, "")
	}
	if c.CommentID != 0 {
		if err := l.GitHub.React(ctx, l.project, c.CommentID, "eyes"); err != nil {
			l.Logger.WarnContext(ctx, "react to command", slog.Any("error", err))
		}
	}
	a, err := l.decide(ctx, c)
	if err != nil {
		return err
	}
	c.ReplyID, err = l.GitHub.Reply(ctx, l.project, l.pr.Number, report.CommandMarker(c), report.CommandMarker(c)+"\n"+a.text)
	switch {
	case errors.Is(err, preview.ErrGone), preview.Classify(err) == preview.ClassTransient, ctx.Err() != nil:
		return err
	case err != nil: // as where nobody may comment: it counts all the same
		l.Logger.WarnContext(ctx, "answer command", slog.Any("error", err))
	}
	return l.Store.FinishSpecCommand(ctx, c, a.outcome, a.commit)
}

// decide asks GitHub, live, whether the actor may, and does it. Its error is worth another try.
func (l *look) decide(ctx context.Context, c preview.Command) (answer, error) {
	verb := strings.ToLower(c.Argument)
	needs := preview.RoleViewer
	switch verb {
	case argumentCheck:
	case argumentApply:
		needs = preview.RoleContributor
	default:
		return invalid("Not done: write `/flaresmith spec check` or `/flaresmith spec apply`.\n"), nil
	}
	standing, err := l.GitHub.Standing(ctx, l.project, c.Actor)
	if err != nil {
		return answer{}, err
	}
	if standing.UserID != c.ActorID || !standing.Role.AtLeast(needs) {
		has := standing.Role
		if standing.UserID != c.ActorID { // the login is somebody else's by now
			has = preview.RoleNone
		}
		text := report.CommandReply(report.Answer{Kind: report.AnswerRefused, Command: c, Needs: needs, Has: has})
		return refused(strings.TrimPrefix(text, report.CommandMarker(c)+"\n")), nil
	}
	if !l.pr.Open {
		return invalid("Not done: the pull request is closed.\n"), nil
	}
	if verb == argumentCheck {
		l.forced, l.published.NewCheck = true, true
		return done("Checking the specs: see the check *"+CheckName+"*.\n", ""), nil
	}
	return l.applyHere(ctx, c)
}

// applyHere applies to the pull request's branch.
func (l *look) applyHere(ctx context.Context, c preview.Command) (answer, error) {
	// What an interrupted attempt committed is at the head, or was.
	before, err := l.Store.SpecCommit(ctx, l.project.ID, l.pr.HeadRef, "", l.pr.HeadSHA)
	if err != nil {
		return answer{}, err
	}
	made, err := l.apply(ctx, l.project, l.pr.HeadRef, l.pr.HeadSHA, c.Actor, l.config)
	switch {
	case err == nil && made.Commit != "":
		l.pr.HeadSHA = made.Commit
		return done(fmt.Sprintf("Applied: %s in %s.\n", count(len(made.Report.ChangedFiles), "file"), made.Commit), made.Commit), nil
	case err == nil && made.NoSpecs:
		return invalid("Not done: there are no specs here.\n"), nil
	case err == nil && before != "":
		return done("Applied in "+before+".\n", before), nil
	case err == nil:
		return done("Nothing to do: all files are as the specs say.\n", ""), nil
	case errors.Is(err, ErrMoved):
		return invalid("Not done: the branch went on to another commit meanwhile. Comment again to apply to that.\n"), nil
	case errors.Is(err, ErrInvalid):
		return invalid("Not done: nothing can be generated from these specs.\n" + problemList(made.Problems)), nil
	case errors.Is(err, ErrConflicts):
		var conflicts strings.Builder
		conflictSection(&conflicts, made.Report)
		return invalid("Not done: " + made.Report.ConflictTitle() + ".\n" + conflicts.String()), nil
	case errors.Is(err, preview.ErrNotPermitted):
		return invalid("Not done: GitHub does not let this App commit to the branch. The App needs the permission *Contents: read and write*, and no rule of the branch may forbid it.\n"), nil
	}
	return answer{}, err
}
