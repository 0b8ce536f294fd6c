package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

func specJobs(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	if err := s.Pool().QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE kind = 'spec'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A look is asked for by what is new at a pull request, and one that waits is enough.
func TestWantSpecAt(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	want := func(step string, pr int, head string, touched bool, jobs int) {
		t.Helper()
		if err := s.WantSpecAt(t.Context(), p.ID, pr, head, touched); err != nil {
			t.Fatal(err)
		}
		if n := specJobs(t, s); n != jobs {
			t.Errorf("%s: %d jobs, want %d", step, n, jobs)
		}
	}
	want("specs are not touched", 7, "a", false, 0)
	want("specs are touched", 7, "a", true, 1)
	want("a job waits", 7, "b", true, 1)
	want("another pull request", 8, "a", true, 2)

	lease, _, err := s.AcquireSpec(t.Context(), p.ID, 9, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SaveSpec(t.Context(), lease, []byte(`{"checkSha": "a", "checkRunId": 5}`), false); err != nil {
		t.Fatal(err)
	}
	want("the head has its check", 9, "a", true, 2)
	want("an earlier head has one, which must not seem to be of this one", 9, "b", false, 3)
}

func TestSpecLease(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	first, published, err := s.AcquireSpec(t.Context(), p.ID, 7, time.Minute)
	if err != nil || string(published) != "{}" {
		t.Fatalf("%s, %v", published, err)
	}
	if _, _, err := s.AcquireSpec(t.Context(), p.ID, 7, time.Minute); !errors.Is(err, preview.ErrLeased) {
		t.Errorf("a second look: %v", err)
	}
	if _, _, err := s.AcquireSpec(t.Context(), p.ID, 8, time.Minute); err != nil {
		t.Errorf("another pull request: %v", err)
	}
	if err := s.SaveSpec(t.Context(), first, []byte(`{"checkSha": "a"}`), false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pool().Exec(t.Context(), `UPDATE spec_checks SET lease_until = now() - interval '1 second' WHERE pr = 7`); err != nil {
		t.Fatal(err)
	}
	second, published, err := s.AcquireSpec(t.Context(), p.ID, 7, time.Minute)
	if err != nil || string(published) != `{"checkSha": "a"}` {
		t.Fatalf("after the lease: %s, %v", published, err)
	}
	if err := s.SaveSpec(t.Context(), first, []byte(`{"checkSha": "late"}`), false); !errors.Is(err, preview.ErrLeaseLost) {
		t.Errorf("the first look saves late: %v", err)
	}
	if err := s.ReleaseSpec(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.AcquireSpec(t.Context(), p.ID, 7, time.Minute); !errors.Is(err, preview.ErrLeased) {
		t.Errorf("the first look gave up a lease that it had no more: %v", err)
	}
	if err := s.ReleaseSpec(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if _, published, err = s.AcquireSpec(t.Context(), p.ID, 7, time.Minute); err != nil || string(published) != `{"checkSha": "a"}` {
		t.Errorf("after the release: %s, %v", published, err)
	}
}

// A wish for a new check that comes in the middle of a look outlives what the look saves.
func TestRenewSpecOnce(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	lease, _, err := s.AcquireSpec(t.Context(), p.ID, 7, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	wish := preview.Command{Key: "check:5:rerequested", ProjectID: p.ID, PR: 7, Verb: preview.VerbSpec, Actor: "octo-dev", ActorID: 3, CreatedAt: time.Now()}
	save := func(renewed bool, want string) {
		t.Helper()
		if err := s.SaveSpec(t.Context(), lease, []byte(`{"checkSha": "a"}`), renewed); err != nil {
			t.Fatal(err)
		}
		var got bool
		if err := s.Pool().QueryRow(t.Context(), `SELECT published ? 'newCheck' FROM spec_checks WHERE pr = 7`).Scan(&got); err != nil || got != (want == "wanted") {
			t.Errorf("a new check is wanted: %t, %v; it should be %s", got, err, want)
		}
	}
	for range 2 {
		if err := s.RenewSpecOnce(t.Context(), wish); err != nil {
			t.Fatal(err)
		}
	}
	save(false, "wanted")
	save(true, "fulfilled")
	if err := s.RenewSpecOnce(t.Context(), wish); err != nil {
		t.Fatal(err)
	}
	save(false, "fulfilled") // a delivery that came again is no other wish
	if n := specJobs(t, s); n != 1 {
		t.Errorf("%d jobs, want 1", n)
	}
	if list, err := s.PendingSpecCommands(t.Context(), p.ID, 7); err != nil || len(list) != 0 {
		t.Errorf("pending: %v, %v", list, err)
	}
}

func TestSpecCommands(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	command := func(key string, minutes int) preview.Command {
		c := preview.Command{Key: key, ProjectID: p.ID, PR: 7, CommentID: 5, Verb: preview.VerbSpec, Argument: "apply", Actor: "octo-dev", ActorID: 3, CreatedAt: at.Add(time.Duration(minutes) * time.Minute)}
		if err := s.SpecCommand(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	second, first := command("comment:2", 2), command("comment:1", 1)
	command("comment:2", 2) // delivered again
	pending := func(step string, want ...string) {
		t.Helper()
		list, err := s.PendingSpecCommands(t.Context(), p.ID, 7)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range list {
			got = append(got, c.Key)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
	}
	pending("oldest first", "comment:1", "comment:2")
	for _, commit := range []string{"abc", "def"} { // the answer got lost the first time
		if err := s.FinishSpecCommand(t.Context(), first, preview.CommandDone, commit); err != nil {
			t.Fatal(err)
		}
	}
	pending("one is done", second.Key)
	var audited string
	if err := s.Pool().QueryRow(t.Context(), `SELECT string_agg(detail->>'commit', ' ') FROM audit WHERE operation = 'command.spec'`).Scan(&audited); err != nil || audited != "abc" {
		t.Errorf("audited: %q, %v", audited, err)
	}
}

// A commit is found for the branch and the base that it was made for, and for nothing else.
func TestSpecCommit(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p, other := storetest.Project(t, s, 1), storetest.Project(t, s, 2)
	base, old, commit := strings.Repeat("1", 40), strings.Repeat("2", 40), strings.Repeat("3", 40)
	for _, c := range []string{old, commit} { // another attempt from the same base, when nothing had been moved
		if err := s.SaveSpecCommit(t.Context(), p.ID, "feature", base, c); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, project, branch, base, head, want string
	}{
		{"what was made", p.ID, "feature", base, commit, commit},
		{"from whatever base", p.ID, "feature", "", commit, commit},
		{"from another base", p.ID, "feature", old, commit, ""},
		{"a commit of somebody else", p.ID, "feature", base, base, ""},
		{"an attempt that a later one replaced", p.ID, "feature", base, old, ""},
		{"another branch", p.ID, "other", base, commit, ""},
		{"another project", other.ID, "feature", base, commit, ""},
	}
	for _, tt := range tests {
		if got, err := s.SpecCommit(t.Context(), tt.project, tt.branch, tt.base, tt.head); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}
