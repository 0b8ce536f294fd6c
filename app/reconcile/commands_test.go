package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
	"github.com/flaresmith/flaresmith/app/report"
)

// eligible is a pass over a pull request that has a preview.
func eligible(e preview.Environment) *pass {
	p := passOver(e)
	p.facts.Environment, p.facts.Now, p.facts.Configured = e, now, true
	p.facts.Policy = repoconfig.Default().Policy
	p.facts.Offered = []string{"postgres", "workerd", "collection"}
	p.facts.Entitlement = &preview.Entitlement{Parents: map[string]string{"main": "shop"}, DefaultParent: "main", MaxPreviews: 15}
	return p
}

func TestEffect(t *testing.T) {
	t.Parallel()
	revived := now.Add(72 * time.Hour)
	tests := []struct {
		name    string
		command preview.Command
		given   func(*preview.Environment, *pass)
		want    func(*preview.Environment) // what changes; nil: it can't be done
		kind    report.AnswerKind          // empty: accepted
	}{
		{name: "rebuild makes everything anew", command: preview.Command{Verb: preview.VerbRebuild},
			want: func(e *preview.Environment) { e.Rebuild, e.ResetDatabase, e.ExpiresAt = true, true, revived }},
		{name: "rebuild shortens no life", command: preview.Command{Verb: preview.VerbRebuild},
			given: func(e *preview.Environment, _ *pass) { e.ExpiresAt = revived.Add(time.Hour) },
			want:  func(e *preview.Environment) { e.Rebuild, e.ResetDatabase = true, true }},
		{name: "preview of what is up", command: preview.Command{Verb: preview.VerbPreview},
			given: func(e *preview.Environment, _ *pass) { e.State, e.GoodSHA = preview.StateActive, "new" }},
		{name: "rebuild ends a hold", command: preview.Command{Verb: preview.VerbRebuild},
			given: func(e *preview.Environment, _ *pass) { e.Held = true },
			want: func(e *preview.Environment) {
				e.Held, e.Rebuild, e.ResetDatabase, e.ExpiresAt = false, true, true, revived
			}},
		{name: "reset-db", command: preview.Command{Verb: preview.VerbResetDB}, want: func(e *preview.Environment) { e.ResetDatabase = true }},
		{name: "reset-db of what was destroyed", command: preview.Command{Verb: preview.VerbResetDB},
			given: func(e *preview.Environment, _ *pass) { e.Held = true }},
		{name: "reset-db of what expired", command: preview.Command{Verb: preview.VerbResetDB},
			given: func(e *preview.Environment, _ *pass) { e.ExpiredSHA, e.ExpiresAt = "new", time.Time{} }},
		{name: "preview ends a hold", command: preview.Command{Verb: preview.VerbPreview},
			given: func(e *preview.Environment, _ *pass) { e.Held = true },
			want:  func(e *preview.Environment) { e.Held, e.ExpiresAt = false, revived }},
		{name: "preview after the end", command: preview.Command{Verb: preview.VerbPreview},
			given: func(e *preview.Environment, _ *pass) { e.ExpiredSHA, e.ExpiresAt = "new", time.Time{} },
			want:  func(e *preview.Environment) { e.ExpiredSHA, e.ExpiresAt = "", revived }},
		{name: "preview of a fork", command: preview.Command{Verb: preview.VerbPreview},
			given: func(_ *preview.Environment, p *pass) { p.facts.PullRequest.Fork = true }},
		{name: "rebuild where the operator lists nobody", command: preview.Command{Verb: preview.VerbRebuild},
			given: func(_ *preview.Environment, p *pass) { p.facts.Entitlement = nil }},
		{name: "preview of a closed pull request", command: preview.Command{Verb: preview.VerbPreview},
			given: func(_ *preview.Environment, p *pass) { p.facts.PullRequest.Open = false }},
		{name: "destroy", command: preview.Command{Verb: preview.VerbDestroy}, want: func(e *preview.Environment) { e.Held = true }},
		{name: "extend", command: preview.Command{Verb: preview.VerbExtend}, kind: report.AnswerExtended,
			want: func(e *preview.Environment) { e.ExpiresAt = ends.Add(24 * time.Hour) }},
		{name: "extend by so much", command: preview.Command{Verb: preview.VerbExtend, Argument: "48H"}, kind: report.AnswerExtended,
			want: func(e *preview.Environment) { e.ExpiresAt = ends.Add(48 * time.Hour) }},
		{name: "extend up to a week from now", command: preview.Command{Verb: preview.VerbExtend, Argument: "168h"}, kind: report.AnswerExtended,
			want: func(e *preview.Environment) { e.ExpiresAt = now.Add(168 * time.Hour) }},
		{name: "extend by too much", command: preview.Command{Verb: preview.VerbExtend, Argument: "169h"}},
		{name: "extend by less than nothing", command: preview.Command{Verb: preview.VerbExtend, Argument: "-24h"}},
		{name: "extend by words", command: preview.Command{Verb: preview.VerbExtend, Argument: "a day"}},
		{name: "extend what does not serve", command: preview.Command{Verb: preview.VerbExtend}, given: func(e *preview.Environment, _ *pass) { e.GoodSHA = "" }},
		{name: "approve", command: preview.Command{Verb: preview.VerbApprove}},
		{name: "help", command: preview.Command{Verb: preview.VerbHelp}, kind: report.AnswerHelp, want: func(*preview.Environment) {}},
		{name: "unknown", command: preview.Command{Verb: preview.VerbUnknown}, kind: report.AnswerUnknown, want: func(*preview.Environment) {}},
		{name: "status", command: preview.Command{Verb: preview.VerbStatus}, kind: report.AnswerStatus, want: func(*preview.Environment) {}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := active()
			p := eligible(e)
			if tt.given != nil {
				tt.given(&p.env, p)
			}
			answer := report.Answer{Kind: report.AnswerAccepted}
			got, err := p.effect(tt.command, &answer)
			if tt.want == nil {
				if err == nil {
					t.Fatalf("done: %+v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := p.env
			tt.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			if tt.kind == "" {
				tt.kind = report.AnswerAccepted
			}
			if answer.Kind != tt.kind {
				t.Errorf("answer %q, want %q", answer.Kind, tt.kind)
			}
		})
	}
}

// A push renews the time that is left, and takes nothing of what was given.
func TestPushShortensNoLife(t *testing.T) {
	t.Parallel()
	renewed := now.Add(72 * time.Hour)
	for name, tt := range map[string]struct{ left, want time.Time }{
		"less left": {now.Add(time.Hour), renewed}, "more left": {renewed.Add(24 * time.Hour), renewed.Add(24 * time.Hour)},
	} {
		e := active()
		e.HeadSHA, e.ExpiresAt = "old", tt.left
		p := eligible(e)
		p.trackLifetime(desired.Verdict{Outcome: desired.Wanted})
		if !p.env.ExpiresAt.Equal(tt.want) {
			t.Errorf("%s: ends at %s, want %s", name, p.env.ExpiresAt, tt.want)
		}
	}
}

// Destructive commands and approvals need a Maintainer; whoever may push may have a preview made.
func TestNeededRole(t *testing.T) {
	t.Parallel()
	want := map[preview.Verb]preview.Role{
		preview.VerbHelp: preview.RoleNone, preview.VerbUnknown: preview.RoleNone, preview.VerbStatus: preview.RoleViewer,
		preview.VerbRebuild: preview.RoleContributor, preview.VerbResetDB: preview.RoleContributor,
		preview.VerbExtend: preview.RoleContributor, preview.VerbPreview: preview.RoleContributor,
		preview.VerbDestroy: preview.RoleMaintainer, preview.VerbApprove: preview.RoleMaintainer,
	}
	for verb, role := range want {
		if got := neededRole(verb); got != role {
			t.Errorf("%s needs %s, want %s", verb, got, role)
		}
	}
}
