package specsync

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

// repository is a branch in memory: its files, its head, and who has a role. What a look does not need is not there.
type repository struct {
	GitHub
	Store
	files    fstest.MapFS
	standing preview.Standing
	head     string
	foreign  string // a path that git knows with another content than the archive
	moveErr  error
	noted    map[string]string // commits by the head that they were made from
	attempts []Attempt
}

func (r *repository) Standing(context.Context, preview.Project, string) (preview.Standing, error) {
	return r.standing, nil
}

func (r *repository) Source(context.Context, preview.Project, string) (Source, error) {
	return source{r.files}, nil
}

type source struct{ fs.FS }

func (source) Close() error { return nil }

func (r *repository) SaveSpecCommit(_ context.Context, _, _, base, commit string) error {
	r.noted[base] = commit
	return nil
}

func (r *repository) SpecCommit(_ context.Context, _, _, base, head string) (string, error) {
	for from, commit := range r.noted {
		if commit == head && (base == "" || base == from) {
			return commit, nil
		}
	}
	return "", nil
}

func (r *repository) Blobs(context.Context, preview.Project, string) (map[string]string, error) {
	blobs := map[string]string{}
	for name, file := range r.files {
		blobs[name] = blobID(file.Data)
	}
	if r.foreign != "" {
		blobs[r.foreign] = "120000"
	}
	return blobs, nil
}

func (r *repository) CommitFiles(context.Context, preview.Project, string, []preview.CommitFile, string) (string, error) {
	return "made", nil
}

func (r *repository) MoveBranch(_ context.Context, _ preview.Project, _, sha string) error {
	if r.moveErr == nil {
		r.head = sha
	}
	return r.moveErr
}

func TestDecide(t *testing.T) {
	t.Parallel()
	const dev = int64(3)
	contributor := preview.Standing{UserID: dev, Role: preview.RoleContributor}
	changed := modelText + "| stock | integer | NOT NULL |\n"
	tests := []struct {
		name     string
		argument string
		standing preview.Standing
		closed   bool
		change   func(*repository)
		outcome  preview.CommandOutcome
		says     string
		head     string
		attempts []Attempt
	}{
		{name: "no argument", standing: contributor, outcome: preview.CommandInvalid, says: "`/flaresmith spec check`"},
		{name: "a viewer checks", argument: "Check", standing: preview.Standing{UserID: dev, Role: preview.RoleViewer}, outcome: preview.CommandDone, says: "Checking"},
		{name: "a stranger checks", argument: "check", standing: preview.Standing{UserID: dev, Role: preview.RoleNone}, outcome: preview.CommandRefused},
		{name: "a viewer applies", argument: "apply", standing: preview.Standing{UserID: dev, Role: preview.RoleViewer}, outcome: preview.CommandRefused},
		{name: "the login is somebody else's now", argument: "apply", standing: preview.Standing{UserID: 4, Role: preview.RoleOwner}, outcome: preview.CommandRefused},
		{name: "closed", argument: "apply", standing: contributor, closed: true, outcome: preview.CommandInvalid, says: "closed"},
		{name: "a contributor applies", argument: "APPLY", standing: contributor, outcome: preview.CommandDone, says: "in made", head: "made", attempts: []Attempt{AttemptApplied}},
		{name: "nothing to do", argument: "apply", standing: contributor, change: func(r *repository) { r.files[modelPath].Data = []byte(modelText) },
			outcome: preview.CommandDone, says: "Nothing to do", attempts: []Attempt{AttemptClean}},
		{name: "done before, the answer got lost", argument: "apply", standing: contributor, change: func(r *repository) {
			r.files[modelPath].Data, r.noted["older"] = []byte(modelText), "head"
		}, outcome: preview.CommandDone, says: "Applied in head", attempts: []Attempt{AttemptClean}},
		{name: "no specs", argument: "apply", standing: contributor, change: func(r *repository) { clear(r.files) },
			outcome: preview.CommandInvalid, says: "no specs", attempts: []Attempt{AttemptClean}},
		{name: "invalid specs", argument: "apply", standing: contributor, change: func(r *repository) {
			r.files["specs/001-shop/contracts/a.yaml"] = &fstest.MapFile{Data: []byte("openapi: [")}
		}, outcome: preview.CommandInvalid, says: "nothing can be generated", attempts: []Attempt{AttemptInvalid}},
		{name: "a file changed by hand", argument: "apply", standing: contributor, change: func(r *repository) { r.files[schemaPath].Data = []byte("// mine\n") },
			outcome: preview.CommandInvalid, says: "MANUAL_DIVERGENCE", attempts: []Attempt{AttemptConflicts}},
		{name: "a link where the archive has nothing else", argument: "apply", standing: contributor, change: func(r *repository) { r.foreign = schemaPath },
			outcome: preview.CommandInvalid, says: "not in the repository's archive", attempts: []Attempt{AttemptConflicts}},
		{name: "a link where a folder should be", argument: "apply", standing: contributor, change: func(r *repository) { r.foreign = "src" },
			outcome: preview.CommandInvalid, says: "where a folder should be", attempts: []Attempt{AttemptConflicts}},
		{name: "the branch went on", argument: "apply", standing: contributor, change: func(r *repository) { r.moveErr = preview.ErrConflict },
			outcome: preview.CommandInvalid, says: "went on", attempts: []Attempt{AttemptMoved}},
		{name: "the App may not", argument: "apply", standing: contributor, change: func(r *repository) { r.moveErr = preview.ErrNotPermitted },
			outcome: preview.CommandInvalid, says: "*Contents: read and write*", attempts: []Attempt{AttemptRefused}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &repository{files: shop(t), standing: tt.standing, head: "head", noted: map[string]string{}}
			r.files[modelPath] = &fstest.MapFile{Data: []byte(changed)}
			if tt.change != nil {
				tt.change(r)
			}
			s := New(Config{Store: r, GitHub: r, Committer: r, Sources: r, Attempted: func(a Attempt, _ time.Duration) { r.attempts = append(r.attempts, a) }})
			l := &look{Syncer: s, pr: preview.PullRequest{Number: 7, HeadRef: "feature", HeadSHA: "head", Open: !tt.closed}}
			got, err := l.decide(t.Context(), preview.Command{Verb: preview.VerbSpec, Argument: tt.argument, Actor: "octo-dev", ActorID: dev})
			if err != nil {
				t.Fatal(err)
			}
			if got.outcome != tt.outcome || !strings.Contains(got.text, tt.says) {
				t.Errorf("%s, want %s and %q: %s", got.outcome, tt.outcome, tt.says, got.text)
			}
			if tt.head == "" {
				tt.head = "head"
			}
			if r.head != tt.head {
				t.Errorf("the branch is at %q, want %q", r.head, tt.head)
			}
			if diff := cmp.Diff(tt.attempts, r.attempts); diff != "" {
				t.Errorf("attempts (-want +got):\n%s", diff)
			}
		})
	}
}

// A failure that is nobody's fault is for another try, and nothing is said of it.
func TestDecideLater(t *testing.T) {
	t.Parallel()
	down := preview.Transient(errors.New("down"))
	r := &repository{files: shop(t), standing: preview.Standing{UserID: 3, Role: preview.RoleContributor}, head: "head", noted: map[string]string{}, moveErr: down}
	r.files[modelPath] = &fstest.MapFile{Data: []byte(modelText + "| stock | integer | NOT NULL |\n")}
	l := &look{Syncer: New(Config{Store: r, GitHub: r, Committer: r, Sources: r}), pr: preview.PullRequest{Number: 7, HeadRef: "feature", HeadSHA: "head", Open: true}}
	if a, err := l.decide(t.Context(), preview.Command{Argument: "apply", Actor: "octo-dev", ActorID: 3}); !errors.Is(err, down) || a.text != "" {
		t.Errorf("%+v, %v", a, err)
	}
	if diff := cmp.Diff(map[string]string{"head": "made"}, r.noted); diff != "" {
		t.Errorf("the commit is not written down before the branch is moved: %s", diff)
	}
}
