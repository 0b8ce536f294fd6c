package workflow

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-githubactions"
)

func newStep(t *testing.T, payload string, environment map[string]string) *Step {
	t.Helper()
	name := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(name, []byte(payload), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(&bytes.Buffer{}, func(variable string) string {
		if variable == "GITHUB_EVENT_PATH" {
			return name
		}
		return environment[variable]
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEvent(t *testing.T) {
	t.Parallel()
	const zeros = "0000000000000000000000000000000000000000"
	pull := func(head string) string {
		return `{"pull_request":{"number":7,"commits":2,"title":"T","body":"B","head":{"sha":"h","ref":"f","repo":` + head + `},"base":{"sha":"b","ref":"main","repo":{"full_name":"a/s"}}}}`
	}
	texts := []Text{{"the pull request's title and text", "T\nB"}}
	tests := []struct {
		name, event, payload, ref, actor string
		want                             Event
	}{
		{"a push", "push", `{"before":"b","after":"h"}`, "refs/heads/x", "", Event{Branch: "x", Base: "b", Head: "h"}},
		{"a new branch", "push", `{"before":"` + zeros + `","after":"h"}`, "refs/heads/x", "", Event{Branch: "x", Head: "h"}},
		{"a deleted branch", "push", `{"before":"b","after":"` + zeros + `"}`, "refs/heads/main", "", Event{Branch: "main", Base: "b", Head: "run"}},
		{"a tag", "push", `{"before":"` + zeros + `","after":"h"}`, "refs/tags/v1", "", Event{Head: "run", Tag: "h"}},
		{"a schedule", "schedule", `{"repository":{"default_branch":"main"}}`, "refs/heads/main", "", Event{Branch: "main", Head: "run", DefaultBranch: "main"}},
		{"a merge group", "merge_group", `{"merge_group":{"base_sha":"b","head_sha":"h"}}`, "", "", Event{Base: "b", Head: "h"}},
		{"a pull request", "pull_request", pull(`{"full_name":"a/s"}`), "refs/pull/7/merge", "", Event{Base: "b", Head: "h", Texts: texts,
			Pull: &Pull{Number: 7, Commits: 2, HeadRef: "f", BaseRef: "main"}}},
		{"of a fork", "pull_request", pull(`{"full_name":"m/s"}`), "", "", Event{Base: "b", Head: "h", Texts: texts,
			Pull: &Pull{Number: 7, Commits: 2, HeadRef: "f", BaseRef: "main", Fork: true}, Restricted: "the pull request is from a fork"}},
		{"of a fork that is gone", "pull_request", pull(`null`), "", "", Event{Base: "b", Head: "h", Texts: texts,
			Pull: &Pull{Number: 7, Commits: 2, HeadRef: "f", BaseRef: "main", Fork: true}, Restricted: "the pull request is from a fork"}},
		{"Dependabot's", "push", `{"before":"b","after":"h"}`, "refs/heads/x", "dependabot[bot]", Event{Branch: "x", Base: "b", Head: "h", Restricted: "Dependabot started the run"}},
		{"a review", "pull_request_review", `{"review":{"body":null}}`, "", "", Event{Head: "run", Texts: []Text{{"the review", "\n"}}}},
		{"a comment", "issue_comment", `{"action":"created","issue":{"title":"T","body":"B","pull_request":{}},"comment":{"body":"C"}}`, "refs/heads/main", "",
			Event{Branch: "main", Head: "run", Texts: []Text{{"the issue's title and text", "T\nB"}, {"the comment", "\nC"}}}},
		{"a deleted comment", "issue_comment", `{"action":"deleted","issue":{"title":"T","body":"B"},"comment":{"body":"C"}}`, "refs/heads/main", "",
			Event{Branch: "main", Head: "run", Texts: []Text{{"the issue's title and text", "T\nB"}}}},
		{"a comment of a review", "pull_request_review_comment", strings.Replace(strings.Replace(pull(`{"full_name":"m/s"}`), `"commits":2,`, "", 1), "{", `{"comment":{"body":"C"},`, 1), "", "",
			Event{Base: "b", Head: "h", Texts: append(slices.Clip(texts), Text{"the comment", "\nC"}), Pull: &Pull{Number: 7, HeadRef: "f", BaseRef: "main", Fork: true}, Restricted: "the pull request is from a fork"}},
		{"none", "", ``, "", "", Event{Head: "run"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.payload == "" {
				tt.payload = "null"
			}
			s := newStep(t, tt.payload, map[string]string{"GITHUB_EVENT_NAME": tt.event, "GITHUB_REF": tt.ref, "GITHUB_ACTOR": tt.actor, "GITHUB_SHA": "run"})
			tt.want.Name = tt.event
			if diff := cmp.Diff(tt.want, s.Event); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSummaryStaysSmall(t *testing.T) {
	t.Parallel()
	s := newStep(t, "{}", map[string]string{"GITHUB_REPOSITORY": "a/s", "GITHUB_SHA": "run"})
	r := Report{Title: "Many", Advice: "Do this.", Notes: []string{strings.Repeat("n", 5000)}}
	for range 3000 {
		r.Annotations = append(r.Annotations, Annotation{Level: Error, Title: strings.Repeat("<", 300), Message: strings.Repeat("&", 3000), Path: strings.Repeat("|", 900), Line: 1})
	}
	for _, limit := range []int{maxSummary, maxCheckOutput} {
		text := s.summary(r, limit)
		if len(text) > limit || !strings.Contains(text, " more are not in this table.") || !strings.Contains(text, "Do this.") {
			t.Errorf("%d bytes, at most %d", len(text), limit)
		}
	}
}

// TestLogSteersNothing has names with commands to the runner, in its two forms: "::" where a line begins, "##[" anywhere.
func TestLogSteersNothing(t *testing.T) {
	t.Parallel()
	s := newStep(t, "{}", nil)
	var log bytes.Buffer
	s.action = githubactions.New(githubactions.WithWriter(&log))
	s.Logf("%s is not scanned", "a\n ::stop-commands::x/##\x00[stop-commands]x")
	if want := "flaresmith: a  ::stop-commands::x/## [stop-commands]x is not scanned\n"; log.String() != want {
		t.Errorf("got %q, want %q", log.String(), want)
	}
	log.Reset()
	s.Logf("%s is not scanned", "###[stop-commands]x")
	if want := "flaresmith: ### [stop-commands]x is not scanned\n"; log.String() != want {
		t.Errorf("got %q, want %q", log.String(), want)
	}
}

// TestOutputsAreOneLine keeps a value from ending itself and beginning another.
func TestOutputsAreOneLine(t *testing.T) {
	t.Parallel()
	output := filepath.Join(t.TempDir(), "output")
	s := newStep(t, "{}", map[string]string{"GITHUB_OUTPUT": output, "INPUT_CHECK_RUN": "off"})
	err := s.Publish(t.Context(), Report{Title: "x", Passed: true, Status: "clean", Outputs: map[string]string{"changed-files": "a\n_GitHubActionsFileCommandDelimeter_\nstatus<<x"}})
	if err == nil {
		t.Error("it was written")
	}
	if list := JSONList([]string{"a\nb", `"`}); list != `["a\nb","\""]` {
		t.Errorf("a list: %s", list)
	}
}

// TestEmbeddedRepository: a folder of a pull request that looks like a repository, with a configuration that starts programs, is none.
func TestEmbeddedRepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "git", "init", "--quiet", "--bare", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, err := newStep(t, "{}", nil).Repository(dir).git(t.Context(), nil, "rev-parse", "--git-dir")
	if err == nil || !strings.Contains(err.Error(), "safe.bareRepository") {
		t.Errorf("%v, want a refusal", err)
	}
}
