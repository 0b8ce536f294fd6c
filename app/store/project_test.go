package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

func TestEnsureProject(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	steps := []struct {
		name, repo, branch string
		at                 time.Time
		want               string // owner/name at branch
	}{
		{"first, short form", "one", "", time.Time{}, "octo-org/one at "},
		{"full form", "one", "main", second(10), "octo-org/one at main"},
		{"renamed", "two", "main", second(20), "octo-org/two at main"},
		{"late event with the old name", "one", "main", second(15), "octo-org/two at main"},
		{"short form never renames", "one", "", time.Time{}, "octo-org/two at main"},
		{"default branch changed", "two", "trunk", second(30), "octo-org/two at trunk"},
	}
	var id string
	for _, step := range steps {
		p, err := s.EnsureProject(t.Context(), preview.Repository{InstallationID: 1, RepoID: 2, Owner: "octo-org", Name: step.repo,
			DefaultBranch: step.branch, FactsAt: step.at})
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := p.FullName() + " at " + p.DefaultBranch; got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
		if id == "" {
			id = p.ID
		}
		if p.ID != id || p.Hash != preview.ProjectHash(1, 2) {
			t.Errorf("%s: another project", step.name)
		}
	}
	if p, err := s.Project(t.Context(), id); err != nil || p.Name != "two" {
		t.Errorf("project: %v, %v", p, err)
	}
	if _, err := s.ProjectByRepo(t.Context(), 9, 2); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("the repository in another installation: %v", err)
	}
	if _, err := s.EnsureProject(t.Context(), preview.Repository{RepoID: 2}); err == nil {
		t.Error("a project without installation")
	}
}

func TestArchiveProject(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	for _, step := range []struct {
		name     string
		archived bool
		at       time.Time
		want     bool
	}{
		{"archived", true, second(20), true},
		{"late event from before", false, second(10), true},
		{"unarchived", false, second(30), false},
		{"removed from the installation", true, time.Time{}, true},
	} {
		if err := s.ArchiveProject(t.Context(), p.ID, step.archived, step.at); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Project(t.Context(), p.ID); err != nil || got.Archived != step.want {
			t.Errorf("%s: archived %v, %v", step.name, got, err)
		}
	}
	if list, err := s.ProjectsOfInstallation(t.Context(), 1); err != nil || len(list) != 0 {
		t.Errorf("projects in use: %v, %v", list, err)
	}
}

func TestGoodConfig(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	for _, data := range [][]byte{nil, []byte("ttl: 24h\n"), {}, nil} {
		if err := s.SaveGoodConfig(t.Context(), p.ID, data); err != nil {
			t.Fatal(err)
		}
		got, found, err := s.GoodConfig(t.Context(), p.ID)
		if err != nil || found != (data != nil) || string(got) != string(data) {
			t.Errorf("saved %q, got %q, %v, %v", data, got, found, err)
		}
	}
}

func TestEntitlement(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	listed, special := storetest.Project(t, s, 1), storetest.Project(t, s, 2)
	if _, err := s.Entitlement(t.Context(), listed); !errors.Is(err, preview.ErrNotFound) {
		t.Fatalf("unlisted: %v", err)
	}
	all := preview.Entitlement{Parents: map[string]string{"main": "app"}, DefaultParent: "main", MaxPreviews: 5}
	one := preview.Entitlement{Parents: map[string]string{"main": "app", "demo": "app_demo"}, DefaultParent: "demo", MaxPreviews: 1}
	for range 2 { // writing again is no error
		if err := errors.Join(s.PutEntitlement(t.Context(), 1, 0, all), s.PutEntitlement(t.Context(), 1, 2, one), s.PutEntitlement(t.Context(), 8, 1, one)); err != nil {
			t.Fatal(err)
		}
	}
	for p, want := range map[preview.Project]preview.Entitlement{listed: all, special: one} {
		got, err := s.Entitlement(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entitlement of repository %d (-want +got):\n%s", p.RepoID, diff)
		}
	}
}

func TestRecordInstallation(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	for _, step := range []struct {
		name string
		in   preview.Installation
		want string
	}{
		{"suspended", preview.Installation{ID: 1, Account: "octo-org", Suspended: true, FactsAt: second(20)}, "octo-org suspended"},
		{"late creation", preview.Installation{ID: 1, Account: "octo-old", FactsAt: second(10)}, "octo-org suspended"},
		{"unsuspended", preview.Installation{ID: 1, Account: "octo-org", FactsAt: second(30)}, "octo-org"},
		{"deleted", preview.Installation{ID: 1, Account: "octo-org", Deleted: true, FactsAt: second(40)}, "octo-org deleted"},
		{"event after the deletion", preview.Installation{ID: 1, Account: "octo-org", FactsAt: second(50)}, "octo-org deleted"},
	} {
		if err := s.RecordInstallation(t.Context(), step.in); err != nil {
			t.Fatal(err)
		}
		got := scalar[string](t, s, `SELECT account || CASE WHEN suspended_at IS NULL THEN '' ELSE ' suspended' END ||
			CASE WHEN deleted_at IS NULL THEN '' ELSE ' deleted' END FROM installations`)
		if got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
	p := storetest.Project(t, s, 1)
	if err := s.RenameAccount(t.Context(), 1, "new-org", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Project(t.Context(), p.ID); err != nil || got.Owner != "new-org" {
		t.Errorf("owner %s, %v", got.Owner, err)
	}
}

func TestRecordPush(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	push := func(before, sha string, at int, deleted bool) preview.Push {
		return preview.Push{ProjectID: p.ID, Branch: "main", Before: before, SHA: sha, PushedAt: second(at), Deleted: deleted}
	}
	for _, step := range []struct {
		name string
		push preview.Push
		want string // newest commit; empty: the branch is gone
	}{
		{"first", push("", "a", 10, false), "a"},
		{"newer", push("a", "b", 20, false), "b"},
		{"older, late", push("", "a", 10, false), "b"},
		{"doubled", push("a", "b", 20, false), "b"},
		{"same second, from the one known", push("b", "c", 20, false), "c"},
		{"same second, out of order", push("a", "b", 20, false), "c"},
		{"deleted", push("c", "", 20, true), ""},
		{"made again in the same second", push("", "d", 20, false), "d"},
		{"deletion without commits, late", push("", "", 15, true), "d"},
		{"deletion without commits", push("", "", 30, true), ""},
	} {
		if err := s.RecordPush(t.Context(), step.push); err != nil {
			t.Fatal(err)
		}
		got := ""
		list, err := s.Branches(t.Context(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 1 {
			got = list[0].SHA
		}
		if got != step.want {
			t.Errorf("%s: at %q, want %q", step.name, got, step.want)
		}
	}
	if jobs := scalar[int](t, s, `SELECT count(*) FROM river_job WHERE kind = 'sync_project'`); jobs != 1 {
		t.Errorf("%d sync jobs wait, want 1: a waiting one sees every push", jobs)
	}
	if _, err := s.Pool().Exec(t.Context(), `UPDATE river_job SET state = 'running', attempted_at = now()`); err != nil {
		t.Fatal(err)
	}
	if err := s.WantSync(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	if jobs := scalar[int](t, s, `SELECT count(*) FROM river_job WHERE kind = 'sync_project'`); jobs != 2 {
		t.Errorf("%d sync jobs, want 2: a running one may have read already", jobs)
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	command := func(key string, at int) preview.Command {
		return preview.Command{Key: key, ProjectID: p.ID, PR: 7, CommentID: 3, Verb: preview.VerbExtend, Argument: "24h",
			Actor: "octo-dev", ActorID: 5, CreatedAt: second(at)}
	}
	give := func(c preview.Command) {
		t.Helper()
		if err := s.Command(t.Context(), c, previewWish(p, c.PR)); err != nil {
			t.Fatal(err)
		}
	}
	give(command("comment:2", 20))
	give(command("comment:1", 10))
	give(command("comment:3", 30))
	again := command("comment:1", 40)
	again.Verb = preview.VerbDestroy
	give(again) // a replay: changes nothing, not even the generation
	e, err := s.EnvironmentByName(t.Context(), preview.PreviewName(p.Hash, 7))
	if err != nil || e.Wanted != 3 {
		t.Fatalf("generation %d, %v; want 3", e.Wanted, err)
	}
	pending := func() []preview.Command {
		t.Helper()
		list, err := s.PendingCommands(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	want := []preview.Command{command("comment:1", 10), command("comment:2", 20), command("comment:3", 30)}
	if diff := cmp.Diff(want, pending(), cmpopts.EquateApproxTime(0)); diff != "" {
		t.Fatalf("pending (-want +got):\n%s", diff)
	}
	closed := previewWish(p, 7)
	closed.LifecycleAt = second(10) // in the same second: older, since nobody comments that fast
	if _, err := s.Want(t.Context(), closed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[1:], pending(), cmpopts.EquateApproxTime(0)); diff != "" {
		t.Fatalf("pending after a close (-want +got):\n%s", diff)
	}
	lease, e, err := s.Acquire(t.Context(), e.ID, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	answered := command("comment:2", 20)
	answered.ReplyID = 99
	if err := errors.Join(s.FinishCommand(t.Context(), lease, e, answered, "done"), s.FinishCommand(t.Context(), lease, e, answered, "refused")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[2:], pending(), cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("pending after the second is done (-want +got):\n%s", diff)
	}
	got := scalar[string](t, s, `SELECT string_agg(key || ' ' || outcome || ' ' || reply_id, ', ' ORDER BY key) FROM commands`)
	if got != "comment:1 dropped 0, comment:2 done 99, comment:3  0" {
		t.Errorf("commands: %s", got)
	}
	if n := scalar[int](t, s, `SELECT count(*) FROM audit WHERE operation = 'command.extend' AND actor = 'octo-dev'`); n != 1 {
		t.Errorf("%d audit entries, want one", n)
	}
	lost := preview.Lease{EnvironmentID: e.ID, Token: uuid.NewString()}
	if err := s.FinishCommand(t.Context(), lost, e, command("comment:3", 30), "done"); !errors.Is(err, preview.ErrLeaseLost) {
		t.Errorf("without the lease: %v", err)
	}
	if len(pending()) != 1 {
		t.Error("a command was finished without the lease")
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	for _, e := range []preview.AuditEntry{
		{ProjectID: p.ID, Actor: "octo-dev", ActorID: 5, Operation: "environment.destroy", Subject: "preview-x-pr-1", Detail: map[string]string{"command": "comment:1"}},
		{Operation: "sweep", Subject: "all"},
	} {
		if err := s.Audit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	got := scalar[string](t, s, `SELECT string_agg(origin || ' ' || operation || ' ' || detail::text, '; ' ORDER BY id) FROM audit`)
	if want := `user environment.destroy {"command": "comment:1"}; system sweep {}`; got != want {
		t.Errorf("audit: %s, want %s", got, want)
	}
}

func TestReplayedRenameBringsNoOldLoginBack(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	at := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	r := preview.Repository{InstallationID: 1, RepoID: 2, Owner: "old", Name: "shop", DefaultBranch: "main", FactsAt: at}
	p, err := s.EnsureProject(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for i, login := range []string{"middle", "new", "middle"} { // the last one again
		if err := s.RenameAccount(t.Context(), 1, login, at.Add(time.Duration(1+i%2)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.EnsureProject(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if p, err = s.Project(t.Context(), p.ID); err != nil || p.Owner != "new" {
		t.Errorf("owner %q, %v, want new", p.Owner, err)
	}
}
