package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// The outcomes of a command, as the store keeps them.
const (
	commandDone    = "done"
	commandRefused = "refused" // the actor's role is too low
	commandInvalid = "invalid" // it can't be done, whoever asks
)

// maxLifetime bounds what extend can reach, from now.
const maxLifetime = 168 * time.Hour

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
	if p.gone || p.env.Kind.Core() || !p.facts.Configured {
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

func (p *pass) runCommand(ctx context.Context, c preview.Command) error {
	if c.CommentID != 0 {
		if err := p.Conversation.React(ctx, p.project, c.CommentID, "eyes"); err != nil {
			p.Logger.Warn("react to command", slog.String("environment", p.env.Name), slog.Any("error", err))
		}
	}
	env, reply, err := p.decide(ctx, c)
	if err != nil {
		return err
	}
	if c.ReplyID, err = p.Conversation.Reply(ctx, p.project, p.env.PR, report.ReplyMarker(c.Key), report.CommandReply(reply)); err != nil {
		return err
	}
	if err := p.Store.FinishCommand(ctx, p.lease, env, c, reply.Outcome); err != nil {
		return storeError("finish command", err)
	}
	p.env = env
	return nil
}

// decide asks GitHub, live, whether the actor may, and computes what the command changes.
func (p *pass) decide(ctx context.Context, c preview.Command) (preview.Environment, report.Reply, error) {
	env := p.env
	reply := report.Reply{Command: c, Outcome: commandDone, Needs: neededRole(c.Verb)}
	if reply.Needs != preview.RoleNone {
		role, err := p.Conversation.Role(ctx, p.project, c.Actor)
		if err != nil && !errors.Is(err, preview.ErrNotFound) {
			return env, reply, err
		}
		reply.Has = role
		if !role.AtLeast(reply.Needs) {
			reply.Outcome = commandRefused
			return env, reply, nil
		}
	}
	invalid := func(detail string) {
		reply.Outcome, reply.Detail = commandInvalid, detail
	}
	if !p.facts.PullRequest.Open && c.Verb != preview.VerbHelp && c.Verb != preview.VerbUnknown {
		invalid("The pull request is closed, so it has no preview.")
		return env, reply, nil
	}
	switch c.Verb {
	case preview.VerbRebuild:
		env.Rebuild, env.Held = true, false
		env = p.revived(env)
	case preview.VerbResetDB:
		env.ResetDatabase = true
	case preview.VerbPreview:
		env.Held = false
		env = p.revived(env)
	case preview.VerbDestroy:
		env.Held = true
	case preview.VerbExtend:
		p.extend(&env, c.Argument, &reply, invalid)
	case preview.VerbApprove:
		invalid("Previews of forks can't be approved on this server.")
	}
	reply.Environment = env
	return env, reply, nil
}

// revived gives an expired or destroyed preview a new lifetime.
func (p *pass) revived(env preview.Environment) preview.Environment {
	env.ExpiredSHA, env.ExpiresAt = "", p.Now().Add(p.facts.Policy.TTL)
	return env
}

// extend moves the end of the preview's life by the argument, 24 hours when there is none.
func (p *pass) extend(env *preview.Environment, argument string, reply *report.Reply, invalid func(string)) {
	by := 24 * time.Hour
	if argument != "" {
		parsed, err := time.ParseDuration(strings.ToLower(argument))
		if err != nil || parsed <= 0 || parsed > maxLifetime {
			invalid("The time must be between 1h and 168h, as in: /flaresmith extend 24h")
			return
		}
		by = parsed
	}
	now := p.Now()
	if env.State == preview.StateArchived || env.ExpiresAt.IsZero() || desired.IsExpired(*env, p.facts.PullRequest.HeadSHA, now) {
		invalid("There is no preview to extend. Comment /flaresmith preview to bring it back.")
		return
	}
	env.ExpiresAt = env.ExpiresAt.Add(by)
	if latest := now.Add(maxLifetime); env.ExpiresAt.After(latest) {
		env.ExpiresAt = latest
		reply.Detail = "A preview lives at most 168h from now."
	}
}
