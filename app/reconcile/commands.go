package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
	"github.com/flaresmith/flaresmith/app/report"
)

// maxLifetime bounds what extend can reach, from now.
const maxLifetime = 168 * time.Hour

// impossible says why a command can't be done, in a sentence for the person who asked.
type impossible string

func (i impossible) Error() string { return string(i) }

// neededRole is what each command needs. A verb that is not here needs nothing: its answer is help.
func neededRole(v preview.Verb) preview.Role {
	switch v {
	case preview.VerbRebuild, preview.VerbResetDB, preview.VerbExtend, preview.VerbPreview:
		return preview.RoleContributor
	case preview.VerbDestroy, preview.VerbApprove:
		return preview.RoleMaintainer
	case preview.VerbStatus:
		return preview.RoleViewer
	}
	return preview.RoleNone
}

// runCommands does what people asked for since the last pass, each command once: its effect, its
// outcome and its audit entry are one write, after the answer. A crash in between answers again
// by editing the same comment.
func (p *pass) runCommands(ctx context.Context) error {
	if p.gone || p.env.Kind.Core() {
		return nil
	}
	commands, err := p.Store.PendingCommands(ctx, p.env)
	if err != nil {
		return storeError("pending commands", err)
	}
	for _, c := range commands {
		if err := p.runCommand(ctx, c); err != nil {
			return fmt.Errorf("command %s: %w", c.Verb, err)
		}
	}
	return nil
}

// finishCommand records a command's effect and outcome.
func (p *pass) finishCommand(ctx context.Context, env preview.Environment, c preview.Command, outcome preview.CommandOutcome) error {
	if err := p.Store.FinishCommand(ctx, p.lease, env, c, outcome); err != nil {
		return storeError("finish command", err)
	}
	p.env = env
	return nil
}

func (p *pass) runCommand(ctx context.Context, c preview.Command) error {
	// Nothing is said where nothing is configured, and on a fork's pull request beyond its check;
	// nothing is left to run when that changes.
	if !p.facts.Configured || p.facts.PullRequest.Fork {
		return p.finishCommand(ctx, p.env, c, preview.CommandDropped)
	}
	if c.CommentID != 0 {
		if err := p.Conversation.React(ctx, p.project, c.CommentID, "eyes"); err != nil {
			p.log().WarnContext(ctx, "react to command", slog.Any("error", err))
		}
	}
	env, answer, err := p.decide(ctx, c)
	if err != nil {
		return err
	}
	c.ReplyID, err = p.Conversation.Reply(ctx, p.project, p.env.PR, report.CommandMarker(c), report.CommandReply(answer))
	switch {
	case errors.Is(err, preview.ErrGone): // the next pass finds out what is left to do
		return preview.Transient(err)
	case passing(ctx, err):
		return err
	case err != nil: // as where nobody may comment: it counts all the same, and must not stop the pass for ever
		p.log().WarnContext(ctx, "answer command", slog.Any("error", err))
	}
	return p.finishCommand(ctx, env, c, outcome(answer.Kind))
}

// passing reports whether the same call may work in another pass.
func passing(ctx context.Context, err error) bool {
	return err != nil && (transientOf(err) != nil || ctx.Err() != nil)
}

func outcome(kind report.AnswerKind) preview.CommandOutcome {
	switch kind {
	case report.AnswerRefused:
		return preview.CommandRefused
	case report.AnswerInvalid, report.AnswerUnknown:
		return preview.CommandInvalid
	default:
		return preview.CommandDone
	}
}

// decide asks GitHub, live, whether the actor may, and computes what the command changes.
func (p *pass) decide(ctx context.Context, c preview.Command) (preview.Environment, report.Answer, error) {
	answer := report.Answer{Kind: report.AnswerAccepted, Command: c, Needs: neededRole(c.Verb)}
	if answer.Needs != preview.RoleNone {
		role, err := p.Conversation.Role(ctx, p.project, c.Actor)
		if passing(ctx, err) {
			return p.env, answer, err
		}
		if err != nil && !errors.Is(err, preview.ErrNotFound) {
			p.log().WarnContext(ctx, "role of a person", slog.Any("error", err))
			answer.Kind, answer.Reason = report.AnswerInvalid, "GitHub does not say who you are here."
			return p.env, answer, nil
		}
		if answer.Has = role; !role.AtLeast(answer.Needs) {
			answer.Kind = report.AnswerRefused
			return p.env, answer, nil
		}
	}
	env, err := p.effect(c, &answer)
	if err != nil {
		answer.Kind, answer.Reason = report.AnswerInvalid, err.Error()
		return p.env, answer, nil
	}
	return env, answer, nil
}

// effect is the environment as the command leaves it. Its error is a sentence for the person who
// asked: it can't be done.
func (p *pass) effect(c preview.Command, answer *report.Answer) (preview.Environment, error) {
	env := p.env
	switch c.Verb {
	case preview.VerbHelp:
		answer.Kind = report.AnswerHelp
		return env, nil
	case preview.VerbStatus:
		status := p.status(report.Status{Phase: p.phaseNow(), Reason: env.Message})
		answer.Kind, answer.Status = report.AnswerStatus, &status
		return env, nil
	case preview.VerbUnknown:
		answer.Kind = report.AnswerUnknown
		return env, nil
	}
	if !p.facts.PullRequest.Open {
		return env, impossible("The pull request is closed, so it has no preview.")
	}
	switch c.Verb {
	case preview.VerbRebuild:
		env.Rebuild, env.ResetDatabase = true, true
		return p.wanted(p.revived(env))
	case preview.VerbResetDB:
		env.ResetDatabase = true
		return p.wanted(env)
	case preview.VerbPreview:
		if env.State == preview.StateActive && env.GoodSHA == p.facts.PullRequest.HeadSHA && !env.Held &&
			!desired.IsExpired(env, env.GoodSHA, p.Now()) {
			return env, impossible("The preview is up. To make it again from the parent, comment /flaresmith rebuild.")
		}
		return p.wanted(p.revived(env))
	case preview.VerbDestroy:
		env.Held = true
		return env, nil
	case preview.VerbExtend:
		until, err := p.extended(env, c.Argument)
		env.ExpiresAt, answer.Kind, answer.Until = until, report.AnswerExtended, until
		return env, err
	}
	return p.approved(env, c.Argument)
}

// revived gives an expired or destroyed preview a new lifetime, and one that is up as much, unless it has more.
func (p *pass) revived(env preview.Environment) preview.Environment {
	env.Held, env.ExpiredSHA, env.ExpiresAt = false, "", later(env.ExpiresAt, p.Now().Add(p.facts.Policy.TTL))
	return env
}

// wanted refuses to change an environment for a preview that there would not be, and says why.
func (p *pass) wanted(env preview.Environment) (preview.Environment, error) {
	facts := p.facts
	facts.Environment = env
	if v := desired.Preview(facts).Verdict; v.Outcome != desired.Wanted {
		return env, impossible(strings.TrimSpace(v.Reason + " " + v.Hint))
	}
	return env, nil
}

var fullSHA = regexp.MustCompile(`^[0-9a-f]{40}$`)

// approved is the environment with its head approved, which the argument must name in full: what
// somebody has read is then what is deployed.
func (p *pass) approved(env preview.Environment, sha string) (preview.Environment, error) {
	head := p.facts.PullRequest.HeadSHA
	switch {
	case p.facts.PullRequest.Fork:
		return env, impossible("Previews of forks can't be approved on this server.")
	case !fullSHA.MatchString(sha):
		return env, impossible("Write the commit in full, with all its 40 characters, as the check does.")
	case sha != head:
		return env, impossible("This is not the newest commit of the pull request: only that can be approved.")
	case p.facts.Policy.Migrations.Destructive != repoconfig.DestructiveRequireApproval:
		return env, impossible("Nothing waits for an approval: preview.migrations.destructive is not require-approval.")
	}
	env.ApprovedSHA = head
	return env, nil
}

// extended is the preview's end moved by the argument, 24 hours when there is none, and at most
// maxLifetime from now.
func (p *pass) extended(env preview.Environment, argument string) (time.Time, error) {
	by, now := 24*time.Hour, p.Now()
	if argument != "" {
		parsed, err := time.ParseDuration(strings.ToLower(argument))
		if err != nil || parsed < time.Hour || parsed > maxLifetime {
			return time.Time{}, impossible("The time must be between 1h and 168h, as in: /flaresmith extend 24h")
		}
		by = parsed
	}
	if env.GoodSHA == "" || env.ExpiresAt.IsZero() || desired.IsExpired(env, p.facts.PullRequest.HeadSHA, now) {
		return time.Time{}, impossible("There is no preview to extend. Comment /flaresmith preview to bring it back.")
	}
	until := env.ExpiresAt.Add(by)
	if latest := now.Add(maxLifetime); until.After(latest) {
		until = latest
	}
	return until, nil
}

// phaseNow says how the environment stands before this pass acts.
func (p *pass) phaseNow() report.Phase {
	switch {
	case p.env.Held:
		return report.PhaseHeld
	case p.env.Message == needsApproval:
		return report.PhaseNeedsAction
	case len(p.env.Problems) > 0:
		return report.PhaseInvalid
	}
	switch p.env.State {
	case preview.StateActive:
		return report.PhaseReady
	case preview.StateProvisioning, preview.StateUpdating:
		return report.PhaseWorking
	case preview.StateQueued:
		return report.PhaseQueued
	case preview.StateError, preview.StateFailed:
		return report.PhaseFailed
	default:
		return report.PhaseSkipped
	}
}
