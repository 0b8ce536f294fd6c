package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

func TestOnboarding(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p := storetest.Project(t, s, 1)
	want := func(step string, want preview.Onboarding) {
		t.Helper()
		got, err := s.Onboarding(t.Context(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", step, diff)
		}
	}
	one, two := strings.Repeat("1", 40), strings.Repeat("2", 40)
	commit := func(before, commit, want string) {
		t.Helper()
		if got, err := s.SaveOnboardingCommit(t.Context(), p.ID, before, commit); err != nil || got != want {
			t.Errorf("commit %q for %q: %q, %v", commit, before, got, err)
		}
	}
	save := func(o preview.Onboarding) {
		t.Helper()
		if err := s.SaveOnboarding(t.Context(), p.ID, o); err != nil {
			t.Fatal(err)
		}
	}
	want("before", preview.Onboarding{})
	commit("", one, one)
	commit("", two, one) // the first one counts
	commit(two, "", one)
	commit(one, "", "")
	commit("", two, two)
	save(preview.Onboarding{Note: "not permitted"})
	want("refused", preview.Onboarding{Commit: two, Note: "not permitted"})
	save(preview.Onboarding{PR: 7})
	want("proposed", preview.Onboarding{Commit: two, PR: 7})
	save(preview.Onboarding{PR: 7, Declined: true})
	save(preview.Onboarding{Note: "late"}) // another look, which began earlier
	want("declined", preview.Onboarding{Commit: two, PR: 7, Declined: true, Note: "late"})
}

func TestWantInstallationOnboarding(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	var ids []string
	for repo := range int64(4) {
		ids = append(ids, storetest.Project(t, s, repo+1).ID)
	}
	for i, o := range []preview.Onboarding{{Declined: true}, {Done: true}, {Note: "not permitted"}} {
		if err := s.SaveOnboarding(t.Context(), ids[i], o); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.WantInstallationOnboarding(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := s.WantInstallationOnboarding(t.Context(), 2); err != nil { // has none
		t.Fatal(err)
	}
	var got []string
	err := s.Pool().QueryRow(t.Context(), `SELECT array_agg(args->>'project_id' ORDER BY id) FROM river_job WHERE kind = 'onboard_project' AND queue = 'onboard'`).Scan(&got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids[2:], got); diff != "" {
		t.Error(diff)
	}
}

// TestOnboardingSlots: whoever asks, and however often, ten go at once and ten in each further window.
func TestOnboardingSlots(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	projects := make([]preview.Project, 25)
	for i := range projects {
		projects[i] = storetest.Project(t, s, int64(i+1))
		if wait, err := s.OnboardingWait(t.Context(), projects[i].ID); err != nil || wait != 0 {
			t.Errorf("before it took a moment a project waits %s, %v", wait, err)
		}
	}
	ask := func(when string) {
		t.Helper()
		waits := make([]time.Duration, len(projects))
		var group sync.WaitGroup
		for i, p := range projects {
			group.Go(func() {
				for range 2 {
					wait, err := s.OnboardingSlot(t.Context(), p)
					if err != nil {
						t.Error(err)
					}
					waits[i] = wait
				}
				if wait, err := s.OnboardingWait(t.Context(), p.ID); err != nil || (waits[i]-wait).Abs() > time.Minute {
					t.Errorf("waits %s, %v; want %s", wait, err, waits[i])
				}
			})
		}
		group.Wait()
		counts := map[string]int{}
		for _, wait := range waits {
			counts[fmt.Sprint(wait.Round(5*time.Minute))]++
		}
		if diff := cmp.Diff(map[string]int{"0s": 10, "20m0s": 10, "40m0s": 5}, counts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	ask("at first")
	if _, err := s.Pool().Exec(t.Context(), `UPDATE onboardings SET slot_at = slot_at - interval '3 hours'`); err != nil {
		t.Fatal(err)
	}
	ask("after a pause of hours")
	other, err := s.EnsureProject(t.Context(), preview.Repository{InstallationID: 2, RepoID: 99, Owner: "o", Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	if wait, err := s.OnboardingSlot(t.Context(), other); err != nil || wait != 0 {
		t.Errorf("another installation waits %s, %v", wait, err)
	}
}
