package handlers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

const appID = 99

// recorder is a Store that writes down what is wanted, a line a call.
type recorder struct {
	lines []string
	fail  error // what EnsureProject returns
}

func (r *recorder) add(format string, args ...any) error {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
	return nil
}

func (r *recorder) EnsureProject(_ context.Context, f preview.Repository) (preview.Project, error) {
	if r.fail != nil {
		return preview.Project{}, r.fail
	}
	at := "never"
	if !f.FactsAt.IsZero() {
		at = f.FactsAt.UTC().Format(time.RFC3339)
	}
	r.lines = append(r.lines, fmt.Sprintf("project %d/%d %s/%s at %s", f.InstallationID, f.RepoID, f.Owner, f.Name, at))
	return preview.Project{ID: "P", InstallationID: f.InstallationID, RepoID: f.RepoID, Hash: "hhhhhhhh"}, nil
}

func (r *recorder) RecordInstallation(_ context.Context, in preview.Installation) error {
	return r.add("installation %d %s suspended=%v deleted=%v", in.ID, in.Account, in.Suspended, in.Deleted)
}

func (r *recorder) WantInstallation(_ context.Context, id int64) error {
	return r.add("want installation %d", id)
}
func (r *recorder) WantProject(_ context.Context, id string) error {
	return r.add("want project %s", id)
}
func (r *recorder) WantSync(_ context.Context, id string) error { return r.add("want sync %s", id) }
func (r *recorder) WantOnboarding(_ context.Context, id string) error {
	return r.add("want onboarding %s", id)
}
func (r *recorder) WantInstallationOnboarding(_ context.Context, id int64) error {
	return r.add("want onboarding of installation %d", id)
}
func (r *recorder) WantMergeGroup(_ context.Context, id, sha string) error {
	return r.add("want merge group %s %s", id, sha)
}

func (r *recorder) RenameAccount(_ context.Context, id int64, account string, _ time.Time) error {
	return r.add("rename account %d %s", id, account)
}

func (r *recorder) ArchiveProject(_ context.Context, id string, archived bool, at time.Time) error {
	return r.add("archive %s %v at=%v", id, archived, !at.IsZero())
}

func (r *recorder) WantScan(_ context.Context, s preview.Scan) error {
	return r.add("scan pr=%d %s..%s of %s", s.PR, s.Before, s.SHA, strings.TrimSpace(s.Branch+" "+s.Tag))
}

func (r *recorder) RecordPush(_ context.Context, p preview.Push) error {
	return r.add("push %s %s..%s %d deleted=%v", p.Branch, p.Before, p.SHA, p.PushedAt.Unix(), p.Deleted)
}

func (r *recorder) Want(_ context.Context, w preview.Wish) (string, error) {
	return "E", r.add("want %s", showWish(w))
}

func (r *recorder) SpecCommand(_ context.Context, c preview.Command) error {
	return r.add("spec command %s %q by %s/%d pr=%d comment=%d", c.Key, c.Argument, c.Actor, c.ActorID, c.PR, c.CommentID)
}

func (r *recorder) RenewSpecOnce(_ context.Context, c preview.Command) error {
	return r.add("renew spec %s pr=%d", c.Key, c.PR)
}

func (r *recorder) Command(_ context.Context, c preview.Command, w preview.Wish) error {
	return r.add("command %s %s %q by %s/%d pr=%d comment=%d; want %s", c.Key, c.Verb, c.Argument, c.Actor, c.ActorID, c.PR, c.CommentID, showWish(w))
}

func (r *recorder) WantOnce(_ context.Context, c preview.Command, w preview.Wish) error {
	return r.add("once %s by %s; want %s", c.Key, c.Actor, showWish(w))
}

func (r *recorder) ReceivedAt(_ context.Context, deliveryID string) (time.Time, error) {
	return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), r.add("received %s", deliveryID)
}

func (r *recorder) Environment(_ context.Context, id string) (preview.Environment, error) {
	switch id {
	case "00000000-0000-4000-8000-000000000012":
		return preview.Environment{ProjectID: "P", Kind: preview.EnvironmentPreview, PR: 12}, nil
	case "00000000-0000-4000-8000-0000000000ff":
		return preview.Environment{ProjectID: "another", Kind: preview.EnvironmentPreview, PR: 13}, nil
	}
	return preview.Environment{}, preview.ErrNotFound
}

func showWish(w preview.Wish) string {
	s := fmt.Sprintf("%s %s %d", w.Kind, w.Name, w.PR)
	if !w.LifecycleAt.IsZero() {
		s += " lifecycle " + w.LifecycleAt.UTC().Format(time.TimeOnly)
	}
	if w.NewCheck {
		s += " new check"
	}
	return s
}

// Parts of payloads.
const (
	where   = `"installation":{"id":1},"repository":{"id":2,"name":"sample","full_name":"octo-org/sample","owner":{"login":"octo-org"},"default_branch":"main","updated_at":"2026-01-01T00:00:00Z","pushed_at":1767225605},"sender":{"login":"octo-dev","id":5,"type":"User"}`
	known   = "project 1/2 octo-org/sample at 2026-01-01T00:00:05Z"
	sha     = "0123456789abcdef0123456789abcdef01234567"
	other   = "fedcba9876543210fedcba9876543210fedcba98"
	zeros   = "0000000000000000000000000000000000000000"
	want7   = "want preview preview-hhhhhhhh-pr-7 7"
	specRun = `"check_run":{"id":70,"name":"Flaresmith / Spec","app":{"id":99},"external_id":"spec:7","completed_at":"2026-01-01T10:00:00Z","pull_requests":[{"number":8}]}`
	scan7   = "scan pr=7 .. of "
	comment = `"comment":{"id":31,"body":"/flaresmith extend 24h","created_at":"2026-01-01T10:00:00Z","user":{"login":"octo-dev","id":5,"type":"User"}}`
	ourRun  = `"check_run":{"id":70,"name":"Flaresmith / Preview","app":{"id":99},"completed_at":"2026-01-01T10:00:00Z","pull_requests":[{"number":8,"base":{"repo":{"id":3}}},{"number":7,"base":{"repo":{"id":2}}}]}`
)

func TestHandlers(t *testing.T) {
	t.Parallel()
	pull := func(action string) string {
		return `{"action":"` + action + `","pull_request":{"number":7,"closed_at":"2026-01-01T11:00:00Z","updated_at":"2026-01-01T12:00:00Z"},` + where + `}`
	}
	repository := func(action, archived string) string {
		return `{"action":"` + action + `","installation":{"id":1},"repository":{"id":2,"name":"sample","owner":{"login":"octo-org"},"archived":` + archived + `,"updated_at":"2026-01-01T00:00:05Z"}}`
	}
	tests := []struct {
		name, event, payload string
		want                 []string
	}{
		{"ping", "ping", `{"zen":"x"}`, nil},
		{"opened", "pull_request", pull("opened"), []string{known, want7, scan7}},
		{"synchronize", "pull_request", pull("synchronize"), []string{known, want7, scan7}},
		{"edited", "pull_request", pull("edited"), []string{known, want7, scan7}},
		{"ready for review", "pull_request", pull("ready_for_review"), []string{known, want7}},
		{"converted to draft", "pull_request", pull("converted_to_draft"), []string{known, want7}},
		{"labeled", "pull_request", pull("labeled"), []string{known, want7}},
		{"unlabeled", "pull_request", pull("unlabeled"), []string{known, want7}},
		{"closed", "pull_request", pull("closed"), []string{known, want7 + " lifecycle 11:00:00"}},
		{"reopened", "pull_request", pull("reopened"), []string{known, want7 + " lifecycle 12:00:00", scan7}},
		{"proposal closed", "pull_request", `{"action":"closed","pull_request":{"number":7,"head":{"ref":"flaresmith/configure"},"closed_at":"2026-01-01T11:00:00Z"},` + where + `}`,
			[]string{known, want7 + " lifecycle 11:00:00", "want onboarding P"}},
		{"proposal opened", "pull_request", `{"action":"opened","pull_request":{"number":7,"head":{"ref":"flaresmith/configure"}},` + where + `}`, []string{known, want7, scan7}},
		{"other action", "pull_request", pull("assigned"), nil},
		{"no installation", "pull_request", `{"action":"opened","pull_request":{"number":7},"repository":{"id":2,"name":"sample","owner":{"login":"octo-org"}}}`, nil},

		{"command", "issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{"url":"x"}},` + comment + `,` + where + `}`,
			[]string{known, scan7, `command comment:31 extend "24h" by octo-dev/5 pr=7 comment=31; ` + want7}},
		{"command on specs", "issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{"url":"x"}},` + strings.Replace(comment, "extend 24h", "spec apply", 1) + `,` + where + `}`,
			[]string{known, scan7, `spec command comment:31 "apply" by octo-dev/5 pr=7 comment=31`}},
		{"command edited in", "issue_comment", `{"action":"edited","issue":{"number":7,"pull_request":{"url":"x"}},` + comment + `,` + where + `}`, []string{known, scan7}},
		{"command on an issue", "issue_comment", `{"action":"created","issue":{"number":7},` + comment + `,` + where + `}`, nil},
		{"command of a bot", "issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{"url":"x"}},"comment":{"id":31,"body":"/flaresmith status","user":{"type":"Bot"}},` + where + `}`, []string{known, scan7}},
		{"comment of our own", "issue_comment", `{"action":"edited","issue":{"number":7,"pull_request":{"url":"x"}},"comment":{"id":31,"body":"ready","user":{"type":"Bot"},"performed_via_github_app":{"id":` + strconv.Itoa(appID) + `}},` + where + `}`, nil},
		{"comment deleted", "issue_comment", `{"action":"deleted","issue":{"number":7,"pull_request":{"url":"x"}},` + comment + `,` + where + `}`, []string{known, scan7}},
		{"review", "pull_request_review", `{"action":"submitted","review":{"id":32,"body":"/flaresmith destroy"},"pull_request":{"number":7},` + where + `}`, []string{known, scan7}},
		{"review edited", "pull_request_review", `{"action":"edited","review":{"id":32,"body":"nice"},"pull_request":{"number":7},` + where + `}`, []string{known, scan7}},
		{"review dismissed", "pull_request_review", `{"action":"dismissed","review":{"id":32,"body":"nice"},"pull_request":{"number":7},` + where + `}`, nil},
		{"comment in a review", "pull_request_review_comment", `{"action":"created","comment":{"id":33,"body":"/flaresmith destroy"},"pull_request":{"number":7},` + where + `}`, []string{known, scan7}},
		{"comment in a review deleted", "pull_request_review_comment", `{"action":"deleted","comment":{"id":33,"body":"nice"},"pull_request":{"number":7},` + where + `}`, []string{known, scan7}},
		{"conversation", "issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{"url":"x"}},"comment":{"id":31,"body":"nice","user":{"type":"User"}},` + where + `}`, []string{known, scan7}},

		{"button", "check_run", `{"action":"requested_action","requested_action":{"identifier":"reset-db"},` + ourRun + `,` + where + `}`,
			[]string{known, `command check:70:reset-db:5:1767261600 reset-db "" by octo-dev/5 pr=7 comment=0; ` + want7}},
		{"button that approves", "check_run", `{"action":"requested_action","requested_action":{"identifier":"approve"},"check_run":{"id":70,"head_sha":"` + sha + `","name":"Flaresmith / Preview","app":{"id":99},"completed_at":"2026-01-01T10:00:00Z","pull_requests":[{"number":7}]},` + where + `}`,
			[]string{known, `command check:70:approve:5:1767261600 approve "` + sha + `" by octo-dev/5 pr=7 comment=0; ` + want7}},
		{"button of no command", "check_run", `{"action":"requested_action","requested_action":{"identifier":"format"},` + ourRun + `,` + where + `}`, []string{known}},
		{"button of another app", "check_run", `{"action":"requested_action","requested_action":{"identifier":"destroy"},"check_run":{"id":70,"name":"Flaresmith / Preview","app":{"id":98},"pull_requests":[{"number":7}]},` + where + `}`, nil},
		{"button of another check", "check_run", `{"action":"requested_action","requested_action":{"identifier":"destroy"},"check_run":{"id":70,"name":"Lint","app":{"id":99},"pull_requests":[{"number":7}]},` + where + `}`, nil},
		{"re-run", "check_run", `{"action":"rerequested",` + ourRun + `,` + where + `}`, []string{known, "once check:70:rerequested by octo-dev; " + want7 + " new check"}},
		{"re-run names its environment", "check_run", `{"action":"rerequested","check_run":{"id":70,"name":"Flaresmith / Preview","app":{"id":99},"external_id":"00000000-0000-4000-8000-000000000012","pull_requests":[{"number":7}]},` + where + `}`,
			[]string{known, "once check:70:rerequested by octo-dev; want preview preview-hhhhhhhh-pr-12 12 new check"}},
		{"environment of another project", "check_run", `{"action":"rerequested","check_run":{"id":70,"name":"Flaresmith / Preview","app":{"id":99},"external_id":"00000000-0000-4000-8000-0000000000ff","pull_requests":[]},` + where + `}`, []string{known}},
		{"button of the specs' check", "check_run", `{"action":"requested_action","requested_action":{"identifier":"spec apply"},` + specRun + `,` + where + `}`,
			[]string{known, `spec command check:70:spec:5:1767261600 "apply" by octo-dev/5 pr=7 comment=0`}},
		{"re-run of the specs' check", "check_run", `{"action":"rerequested",` + specRun + `,` + where + `}`, []string{known, "renew spec check:70:rerequested pr=7"}},
		{"specs' check completed", "check_run", `{"action":"completed",` + specRun + `,` + where + `}`, nil},
		{"re-run of the scan", "check_run", `{"action":"rerequested","check_run":{"id":72,"head_sha":"` + sha + `","name":"Flaresmith / Secrets","app":{"id":99},"pull_requests":[]},` + where + `}`, []string{known, "scan pr=0 .." + sha + " of "}},
		{"the action's scan", "check_run", `{"action":"rerequested","check_run":{"id":72,"head_sha":"` + sha + `","name":"Flaresmith / Secrets","app":{"id":15368},"pull_requests":[]},` + where + `}`, nil},
		{"check completed", "check_run", `{"action":"completed",` + ourRun + `,` + where + `}`, nil},
		{"re-run all", "check_suite", `{"action":"rerequested","check_suite":{"id":71,"app":{"id":99},"updated_at":"2026-01-01T10:00:00Z","pull_requests":[{"number":7},{"number":9}]},` + where + `}`,
			[]string{known, "once suite:71:7:rerequested:1767261600 by octo-dev; " + want7 + " new check", "renew spec suite:71:7:rerequested:1767261600:spec pr=7",
				"once suite:71:9:rerequested:1767261600 by octo-dev; want preview preview-hhhhhhhh-pr-9 9 new check", "renew spec suite:71:9:rerequested:1767261600:spec pr=9"}},
		{"suite of a push", "check_suite", `{"action":"requested","check_suite":{"id":71,"app":{"id":99}},` + where + `}`, nil},

		{"push", "push", `{"ref":"refs/heads/feature/a","before":"` + zeros + `","after":"` + sha + `",` + where + `}`, []string{known, "scan pr=0 .." + sha + " of feature/a", "push feature/a .." + sha + " 1767225605 deleted=false"}},
		{"push that deletes", "push", `{"ref":"refs/heads/a","before":"` + sha + `","after":"` + zeros + `","deleted":true,` + where + `}`, []string{known, "push a " + sha + ".. 1767225605 deleted=true"}},
		{"push of a queue", "push", `{"ref":"refs/heads/gh-readonly-queue/main/pr-1","before":"` + zeros + `","after":"` + sha + `",` + where + `}`, []string{known, "push gh-readonly-queue/main/pr-1 .." + sha + " 1767225605 deleted=false"}},
		{"push of a tag without an object", "push", `{"ref":"refs/tags/v1","after":"` + sha + `","head_commit":{"id":"` + sha + `"},` + where + `}`, []string{known, "scan pr=0 .." + sha + " of refs/tags/v1"}},
		{"push of a tag", "push", `{"ref":"refs/tags/v1","after":"` + strings.Repeat("a", 40) + `","head_commit":{"id":"` + sha + `"},` + where + `}`, []string{known, "scan pr=0 .." + sha + " of refs/tags/v1 " + strings.Repeat("a", 40)}},
		{"tag deleted", "push", `{"ref":"refs/tags/v1","before":"` + sha + `","after":"` + zeros + `","deleted":true,"head_commit":null,` + where + `}`, nil},
		{"push of a note", "push", `{"ref":"refs/notes/commits","after":"` + sha + `","head_commit":{"id":"` + sha + `"},` + where + `}`, nil},
		{"branch deleted", "delete", `{"ref":"a","ref_type":"branch",` + where + `}`, []string{known, "push a .. 1767225605 deleted=true"}},
		{"tag deleted", "delete", `{"ref":"a","ref_type":"tag",` + where + `}`, nil},
		{"branch created", "create", `{"ref":"a","ref_type":"branch",` + where + `}`, []string{known, "want sync P"}},

		{"merge group", "merge_group", `{"action":"checks_requested","merge_group":{"head_sha":"` + sha + `"},` + where + `}`, []string{known, "want merge group P " + sha}},
		{"merge group with its base", "merge_group", `{"action":"checks_requested","merge_group":{"head_sha":"` + sha + `","base_sha":"` + other + `"},` + where + `}`, []string{known, "scan pr=0 " + other + ".." + sha + " of ", "want merge group P " + sha}},
		{"merge group gone", "merge_group", `{"action":"destroyed","merge_group":{"head_sha":"` + sha + `"},` + where + `}`, nil},

		{"installed", "installation", `{"action":"created","installation":{"id":1,"account":{"login":"octo-org"}},"repositories":[{"id":2,"name":"sample","full_name":"octo-org/sample"}]}`,
			[]string{"installation 1 octo-org suspended=false deleted=false", "project 1/2 octo-org/sample at never", "want sync P", "want onboarding of installation 1", "want installation 1"}},
		{"permissions accepted", "installation", `{"action":"new_permissions_accepted","installation":{"id":1,"account":{"login":"octo-org"}}}`,
			[]string{"installation 1 octo-org suspended=false deleted=false", "want onboarding of installation 1", "want installation 1"}},
		{"suspension ended", "installation", `{"action":"unsuspend","installation":{"id":1,"account":{"login":"octo-org"}}}`,
			[]string{"installation 1 octo-org suspended=false deleted=false", "want onboarding of installation 1", "want installation 1"}},
		{"uninstalled", "installation", `{"action":"deleted","installation":{"id":1,"account":{"login":"octo-org"}}}`, []string{"installation 1 octo-org suspended=false deleted=true", "want installation 1"}},
		{"suspended", "installation", `{"action":"suspend","installation":{"id":1,"account":{"login":"octo-org"},"suspended_at":"2026-01-01T00:00:00Z"}}`, []string{"installation 1 octo-org suspended=true deleted=false", "want installation 1"}},
		{"repositories", "installation_repositories", `{"action":"added","installation":{"id":1},"repositories_added":[{"id":2,"name":"a","full_name":"o/a"}],"repositories_removed":[{"id":3,"name":"b","full_name":"o/b"}]}`,
			[]string{"project 1/2 o/a at never", "archive P false at=false", "want project P", "want sync P", "want onboarding P", "project 1/3 o/b at never", "archive P true at=false", "want project P"}},
		{"account renamed", "installation_target", `{"action":"renamed","installation":{"id":1},"account":{"login":"new-org"}}`, []string{"rename account 1 new-org"}},

		{"renamed", "repository", repository("renamed", "false"), []string{known, "want sync P"}},
		{"transferred", "repository", repository("transferred", "false"), []string{known, "want sync P"}},
		{"archived", "repository", repository("archived", "true"), []string{known, "archive P true at=true", "want project P"}},
		{"unarchived", "repository", repository("unarchived", "false"), []string{known, "archive P false at=true", "want project P", "want sync P"}},
		{"privatized", "repository", repository("privatized", "false"), []string{known, "archive P false at=true", "want project P", "want sync P"}},
		{"repository deleted", "repository", repository("deleted", "false"), []string{known, "archive P true at=true", "want project P"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{}
			if err := handle(t, r, tt.event, tt.payload); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, r.lines); diff != "" {
				t.Errorf("wanted (-want +got):\n%s", diff)
			}
		})
	}
}

// handle gives the payload to the one handler of its event.
func handle(t *testing.T, s Store, event, payload string) error {
	t.Helper()
	for _, h := range All(s, appID) {
		for _, handled := range h.Handles() {
			if handled == event {
				return h.Handle(t.Context(), event, "guid", []byte(payload))
			}
		}
	}
	t.Fatalf("event %s has no handler", event)
	return nil
}

func TestBadPayloads(t *testing.T) {
	t.Parallel()
	for _, h := range All(&recorder{}, appID) {
		for _, event := range h.Handles() {
			for _, payload := range []string{`{}`, `[]`, `null`, `{"action":7}`, `{"installation":{"id":"x"}}`, `{"pull_request":"hunter2"}`} {
				err := h.Handle(t.Context(), event, "guid", []byte(payload))
				if err != nil && preview.Classify(err) != preview.ClassInvalid {
					t.Errorf("%s %s: %v is not an invalid payload", event, payload, err)
				}
			}
		}
	}
}

// What the store can't do now is not the payload's fault: the class must reach the worker.
func TestStoreErrorKeepsItsClass(t *testing.T) {
	t.Parallel()
	r := &recorder{fail: preview.Transient(errors.New("connection refused"))}
	err := handle(t, r, "push", `{"ref":"refs/heads/a","after":"`+sha+`",`+where+`}`)
	if preview.Classify(err) != preview.ClassTransient {
		t.Errorf("error %v is not transient", err)
	}
}
