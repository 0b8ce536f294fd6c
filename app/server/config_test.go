package server

import (
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

// TestMergedConfiguration: the pass over the pull request that changed the file must not keep the
// change from the others, nor may an older file come back after it was deleted.
func TestMergedConfiguration(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := sampleFiles()
	files[".github/flaresmith.yml"] = &fstest.MapFile{Data: []byte("preview: {base_branches: [none]}\n")}
	w := newWorld(t, files, nil)
	_, other := w.open("feature/other")
	w.wantCheck(other, "skipped")
	w.settle()
	merge := func(branch, text string) {
		t.Helper()
		if _, err := w.github.CommitAs("octo-dev", testRepo, branch, map[string]string{".github/flaresmith.yml": text}, branch); err != nil {
			t.Fatal(err)
		}
		pr, err := w.github.OpenPR(testRepo, branch, branch, "", "octo-dev")
		if err != nil {
			t.Fatal(err)
		}
		w.settle()
		if _, err := w.github.MergePR(testRepo, pr, "octo-lead"); err != nil {
			t.Fatal(err)
		}
	}
	merge("feature/config", "preview: {base_branches: [main]}\n")
	w.wantCheck(other, "success")
	w.settle()

	merge("feature/none", "") // deletes the file
	w.until("without a configuration nothing is up", func() bool { return w.cloud.total() == 0 })
	w.settle()
	merge("feature/broken", "preview: {tll: 1}\n")
	w.settle()
	w.wantCheck(w.push("feature/other", "again"), "failure")
	w.settle()
	if got := w.cloud.total(); got != 0 {
		t.Errorf("%d resources under a configuration that was deleted before", got)
	}
	w.valid()
}

// TestOrganisationDefaultChanges: a push to the organisation's file concerns every repository without
// one of its own.
func TestOrganisationDefaultChanges(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := sampleFiles()
	delete(files, ".github/flaresmith.yml")
	w := newWorld(t, files, nil)
	if _, err := w.github.CreateRepo("acme", ".github", fstest.MapFS{
		"flaresmith.yml": &fstest.MapFile{Data: []byte("preview: {base_branches: [none]}\n")},
	}, github.RepoOptions{}); err != nil {
		t.Fatal(err)
	}
	_, sha := w.open("feature/a")
	w.wantCheck(sha, "skipped")
	w.settle()
	if _, err := w.github.CommitAs("octo-lead", "acme/.github", "main", map[string]string{"flaresmith.yml": "preview: {}\n"}, "open"); err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "success")
	w.settle()
	w.valid()
}
