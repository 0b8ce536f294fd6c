package scan

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/action/secretscan"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// token is one in GitHub's form with a right checksum, made when the test runs.
func token() string {
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	random := make([]byte, 30)
	for i := range random {
		random[i] = base62[rand.IntN(len(base62))]
	}
	sum, check := crc32.ChecksumIEEE(random), [6]byte{}
	for i := len(check) - 1; i >= 0; i-- {
		check[i] = base62[sum%62]
		sum /= 62
	}
	return "ghp" + "_" + string(random) + string(check[:])
}

// id is the nth id.
func id(n int) string { return fmt.Sprintf("%040x", n) }

// world is a GitHub and a store in memory, as far as Scanner needs them: a push of commits to feature.
type world struct {
	commits   []preview.Commit
	before    []preview.TreeFile // the files where the push begins
	partly    bool               // GitHub lists a part of each tree
	blobs     map[string]string
	blobError error
	compare   error
	answered  string
	summary   string // of what answered
	shown     []report.Check
	reads     int
	tags      map[string]preview.Tag
	comments  []preview.Comment
	clean     map[[32]byte]bool
	taken     bool
}

func (w *world) Project(context.Context, string) (preview.Project, error) {
	return preview.Project{ID: "P", Owner: "acme", Name: "shop", DefaultBranch: "main"}, nil
}

func (w *world) Entitlement(context.Context, preview.Project) (preview.Entitlement, error) {
	return preview.Entitlement{}, nil
}

func (w *world) GoodConfig(context.Context, string) ([]byte, bool, error) { return nil, false, nil }

func (w *world) ConfigFile(context.Context, preview.Project, string) ([]byte, bool, error) {
	return []byte("secrets: app\n"), true, nil
}

func (w *world) PullHead(context.Context, preview.Project, int) (preview.Head, error) {
	return preview.Head{}, preview.ErrNotFound
}

func (w *world) PullHeads(context.Context, preview.Project, string) ([]preview.Head, error) {
	return nil, nil
}

func (w *world) Compare(context.Context, preview.Project, string, string, int) (preview.Comparison, error) {
	return preview.Comparison{MergeBase: id(0), Commits: w.commits, Whole: true}, w.compare
}

func (w *world) Commit(_ context.Context, _ preview.Project, sha string) (preview.Commit, error) {
	for _, c := range w.commits {
		if c.SHA == sha {
			return c, nil
		}
	}
	return preview.Commit{}, preview.ErrNotFound
}

func (w *world) Difference(context.Context, preview.Project, string, string) ([]preview.ChangedFile, bool, error) {
	return nil, false, errors.New("no merge is here")
}

func (w *world) Tree(_ context.Context, _ preview.Project, sha string) ([]preview.TreeFile, bool, error) {
	files := slices.Clone(w.before)
	for _, c := range w.commits {
		for _, f := range c.Files {
			if _, there := w.blobs[f.Blob]; there || w.blobError != nil {
				files = append(files, preview.TreeFile{Path: f.Path, Blob: f.Blob})
			}
		}
		if c.SHA == sha {
			return files, !w.partly, nil
		}
	}
	return w.before, !w.partly, nil
}

func (w *world) Blob(_ context.Context, _ preview.Project, id string, most int64) ([]byte, error) {
	w.reads++
	text, there := w.blobs[id]
	switch {
	case w.blobError != nil:
		return nil, w.blobError
	case !there:
		return nil, preview.ErrNotFound
	case int64(len(text)) > most:
		return nil, preview.ErrTooLarge
	}
	return []byte(text), nil
}

func (w *world) Tag(_ context.Context, _ preview.Project, id string) (preview.Tag, error) {
	tag, there := w.tags[id]
	if !there {
		return tag, preview.ErrNotFound
	}
	return tag, nil
}

func (w *world) Answered(context.Context, preview.Project, report.Check) (conclusion, summary string, err error) {
	return w.answered, w.summary, nil
}

func (w *world) Comments(context.Context, preview.Project, int) ([]preview.Comment, bool, error) {
	return w.comments, true, nil
}

func (w *world) ShowCheck(_ context.Context, _ preview.Project, c report.Check) error {
	w.shown = append(w.shown, c)
	return nil
}

func (w *world) ScanAlone(ctx context.Context, _, _ string, do func(context.Context) error) error {
	if w.taken {
		return preview.ErrLeased
	}
	return do(ctx)
}

func (w *world) Clean(_ context.Context, _ string, keys [][32]byte) (map[[32]byte]bool, error) {
	known := map[[32]byte]bool{}
	for _, key := range keys {
		if w.clean[key] {
			known[key] = true
		}
	}
	return known, nil
}

func (w *world) SaveClean(_ context.Context, _ string, keys [][32]byte) error {
	for _, key := range keys {
		w.clean[key] = true
	}
	return nil
}

// pushed is a push of n commits, each with a file of its own; the texts are those of the last ones.
func pushed(n int, texts ...string) *world {
	w := &world{blobs: map[string]string{}, clean: map[[32]byte]bool{}}
	for i := range n {
		blob, text := id(1000+i), fmt.Sprintf("text %d\n", i)
		if from := n - len(texts); i >= from {
			text = texts[i-from]
		}
		w.blobs[blob] = text
		w.commits = append(w.commits, preview.Commit{SHA: id(i + 1), Message: "change", Parents: []string{id(i)}, Whole: true,
			Files: []preview.ChangedFile{{Path: fmt.Sprintf("src/%d.txt", i), Blob: blob}}})
	}
	return w
}

func (w *world) scanner(spell time.Duration) *Scanner {
	return &Scanner{GitHub: w, Store: w, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Spell: spell}
}

func (w *world) wanted() preview.Scan {
	return preview.Scan{ProjectID: "P", SHA: w.commits[len(w.commits)-1].SHA, Before: id(0), Branch: "feature"}
}

func TestConclusions(t *testing.T) {
	t.Parallel()
	secret := "t = '" + token() + "'\n"
	doubtful := fmt.Sprintf("api_key = '%x'\n", sha256.Sum256([]byte("doubtful")))
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("0a", 32) + "\nsize 12345\n"
	const broken = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xff\xff"
	short := func() string { return "URL=postgres" + "://app:" + token()[10:22] + "@db.acme.dev/shop\n" }
	old := short()
	inPlaceOf := func(text string) func(*world) {
		return func(w *world) {
			w.blobs[id(999)] = text
			w.before = []preview.TreeFile{{Path: "src/1.txt", Blob: id(999)}}
		}
	}
	tests := []struct {
		name, reason string
		world        *world
		change       func(w *world)
		conclusion   string // "": no check
		title        string // begins so
		class        preview.Class
	}{
		{name: "clean", world: pushed(3), conclusion: "success", title: "No secrets found"},
		{name: "a secret", world: pushed(3, secret), conclusion: "failure", title: "Secrets found: 1 certain"},
		{name: "more commits than are read", world: pushed(maxCommits + 1), conclusion: "failure", title: "Not scanned: there are more than 500 commits"},
		{name: "a commit whose files are not all listed", reason: "the trees say it", world: pushed(2, secret),
			change: func(w *world) { w.commits[1].Whole = false }, conclusion: "failure", title: "Secrets found"},
		{name: "nor all of its tree", world: pushed(2, secret),
			change: func(w *world) { w.commits[1].Whole, w.partly = false, true }, conclusion: "failure", title: "Not scanned: commit 0000000 has more files"},
		{name: "a large file", world: pushed(2, strings.Repeat("x", maxBlob+1)), conclusion: "neutral", title: "Not everything was scanned"},
		{name: "a file that is not what it says", world: pushed(2, broken), conclusion: "neutral", title: "Not everything was scanned"},
		{name: "a file that is kept elsewhere", world: pushed(2, pointer), conclusion: "neutral", title: "Not everything was scanned"},
		{name: "a message like such a file", reason: "it is no file", world: pushed(2), change: func(w *world) { w.commits[1].Message = pointer }, conclusion: "success", title: "No secrets found"},
		{name: "a doubtful value", world: pushed(2, doubtful), conclusion: "success", title: "No secrets at or over the bar"},
		{name: "a doubtful value in place of a large file", reason: "what was before the push is not asked about", world: pushed(2, doubtful),
			change: inPlaceOf(strings.Repeat("x", maxBlob+1)), conclusion: "success", title: "No secrets at or over the bar"},
		{name: "a doubtful value in place of a file that is not what it says", world: pushed(2, doubtful),
			change: inPlaceOf(broken), conclusion: "success", title: "No secrets at or over the bar"},
		{name: "a short password in place of another", reason: "their fingerprints are one", world: pushed(2, short()), change: inPlaceOf(old), conclusion: "failure", title: "Secrets found: 1 certain"},
		{name: "a short password that is moved", world: pushed(2, "\n"+old), change: inPlaceOf(old), conclusion: "success", title: "No secrets found"},
		{name: "a submodule", reason: "its id is of another repository", world: pushed(2), change: func(w *world) { delete(w.blobs, id(1001)) }, conclusion: "success"},
		{name: "a content that is there and not found", reason: "that is no reason for green", world: pushed(2),
			change: func(w *world) { w.blobError = preview.ErrNotFound }, class: preview.ClassTransient},
		{name: "a refusal", world: pushed(2), change: func(w *world) { w.blobError = errors.New("GitHub answered 403") }, conclusion: "failure", title: "Not scanned: GitHub refused"},
		{name: "a limit", world: pushed(2), change: func(w *world) { w.blobError = preview.Transient(errors.New("limit")) }, class: preview.ClassTransient},
		{name: "commits that are gone", world: pushed(2), change: func(w *world) { w.compare = preview.ErrNotFound }, conclusion: "failure", title: "Not scanned: GitHub does not have"},
		{name: "a repository that is gone", world: pushed(2), change: func(w *world) { w.compare = preview.ErrGone }},
		{name: "a failed check", reason: "a pull request knew more", world: pushed(2), change: func(w *world) { w.answered = "failure" }},
		{name: "a green check", world: pushed(2, secret), change: func(w *world) { w.answered = "success" }, conclusion: "failure"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := tt.world
			if tt.change != nil {
				tt.change(w)
			}
			_, err := w.scanner(0).Scan(t.Context(), w.wanted())
			if (err != nil) != (tt.class != "") || err != nil && preview.Classify(err) != tt.class {
				t.Fatalf("error %v, want class %q (%s)", err, tt.class, tt.reason)
			}
			if (len(w.shown) == 1) != (tt.conclusion != "") || len(w.shown) > 1 {
				t.Fatalf("%d checks (%s)", len(w.shown), tt.reason)
			}
			if tt.conclusion == "" {
				return
			}
			c := w.shown[0]
			if c.Conclusion != tt.conclusion || !strings.HasPrefix(c.Title, tt.title) {
				t.Errorf("%s: %s, want %s: %s (%s)", c.Conclusion, c.Title, tt.conclusion, tt.title, tt.reason)
			}
			if text := fmt.Sprintf("%+v", c); strings.Contains(text, strings.TrimSpace(secret)[5:15]) {
				t.Errorf("the check holds the value: %s", text)
			}
		})
	}
}

// TestMoreThanIsListed has secrets that are not listed, as behind 50,000 doubtful values: they fail the check all the same.
func TestMoreThanIsListed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("10,000 secrets take some seconds")
	}
	c, err := secretscan.NewContents(secretscan.Trust{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	few, err := contentOf(c, "few", "few.txt", []byte("t = '"+token()+"'\n"))
	if err != nil || few.over || len(few.found) != 1 {
		t.Errorf("one: %d found, over %t, %v", len(few.found), few.over, err)
	}
	cut, err := contentOf(c, "many", "many.txt", []byte(tokens(10_010)))
	if err != nil || !cut.over || len(cut.found) != 10_000 || len(cut.left) != 1 {
		t.Errorf("many: %d found, over %t, %q, %v", len(cut.found), cut.over, cut.left, err)
	}
	w := pushed(1)
	l := &look{Scanner: w.scanner(0), wanted: w.wanted(), result: result{left: cut.left, over: cut.over}}
	if check := l.render(); check.Conclusion != "failure" || !strings.Contains(check.Summary, cut.left[0]) {
		t.Errorf("%s: %s\n%s", check.Conclusion, check.Title, check.Summary)
	}
}

// tokens is a text of so many secrets.
func tokens(n int) string {
	var b strings.Builder
	for range n {
		b.WriteString("t = '" + token() + "'\n")
	}
	return b.String()
}

// TestMoreInTextsThanIsListed has more secrets in what is in no file than are listed: they fail the check as those in files do,
// but for what a stranger wrote, which takes no room of anything else, either.
func TestMoreInTextsThanIsListed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("80,000 secrets take some seconds")
	}
	many := tokens(10_010)
	w := pushed(1)
	head := preview.Head{PullRequest: preview.PullRequest{Number: 7, Author: "ann"}}
	try := func(name string, over bool, listed int, do func(*look, *secretscan.Contents) error) {
		t.Helper()
		c, err := secretscan.NewContents(secretscan.Trust{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		l := &look{Scanner: w.scanner(0), wanted: w.wanted()}
		if err := do(l, c); err != nil || l.result.over != over || len(l.result.findings) != listed {
			t.Errorf("%s: over %t, %d listed, %v", name, l.result.over, len(l.result.findings), err)
		}
	}
	try("a commit's message", true, 10_000, func(l *look, c *secretscan.Contents) error { return l.text(c, "the message of commit 0123456", many) })
	comments := func(list ...preview.Comment) func(*look, *secretscan.Contents) error {
		return func(l *look, c *secretscan.Contents) error {
			w.comments = list
			return l.comments(t.Context(), c, head)
		}
	}
	stranger := preview.Comment{What: "comment", Author: "eve", Body: many}
	try("a member's comment", true, 10_000, comments(preview.Comment{What: "comment", Author: "bob", Member: true, Body: many}))
	try("a stranger's comment", false, 10_000, comments(stranger))
	all := make([]preview.Comment, 6)
	for i := range all[:5] {
		all[i], all[i].ID = stranger, int64(i)
	}
	all[5] = preview.Comment{What: "comment", ID: 9, Author: "ann", Body: tokens(1)}
	try("the author's comment behind a stranger's", false, 50_001, comments(all...))
}

// TestOldFindingsAreNoNewOnes has 60,000 findings in what was there before a push that adds a line to each of six files.
func TestOldFindingsAreNoNewOnes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("60,000 secrets take some seconds")
	}
	w := pushed(1)
	w.commits[0].Files = nil
	for i := range 6 {
		kept := tokens(1)
		path := fmt.Sprintf("%d.txt", i)
		w.blobs[id(2000+i)], w.blobs[id(3000+i)] = kept+tokens(9_999), kept+"more\n"
		w.before = append(w.before, preview.TreeFile{Path: path, Blob: id(2000 + i)})
		w.commits[0].Files = append(w.commits[0].Files, preview.ChangedFile{Path: path, Blob: id(3000 + i)})
	}
	if _, err := w.scanner(0).Scan(t.Context(), w.wanted()); err != nil || len(w.shown) != 1 {
		t.Fatalf("%d checks, %v", len(w.shown), err)
	}
	if c := w.shown[0]; c.Conclusion != "success" || c.Title != "No secrets found" {
		t.Errorf("%s: %s\n%s", c.Conclusion, c.Title, c.Summary)
	}
}

// A search that is cut short goes on where it was, and what was clean is never read again.
func TestScanGoesOn(t *testing.T) {
	t.Parallel()
	w := pushed(20)
	looks, wait := 0, time.Duration(1)
	for ; wait > 0 && looks < 1000; looks++ {
		s := w.scanner(time.Nanosecond)
		if looks%2 == 1 {
			s.Spell = time.Millisecond
		}
		var err error
		if wait, err = s.Scan(t.Context(), w.wanted()); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.shown) != 1 || w.shown[0].Conclusion != "success" || w.reads > 20 || looks < 2 {
		t.Errorf("%d checks after %d looks and %d reads", len(w.shown), looks, w.reads)
	}
	before := w.reads
	if _, err := w.scanner(0).Scan(t.Context(), w.wanted()); err != nil || w.reads != before {
		t.Errorf("%d contents were read again, %v", w.reads-before, err)
	}
	w.taken = true
	if wait, err := w.scanner(0).Scan(t.Context(), w.wanted()); err != nil || wait == 0 || len(w.shown) != 2 {
		t.Errorf("wait %s, %v, %d checks while another look is at the commit", wait, err, len(w.shown))
	}
}

// Files with the same content are searched each by its path, and read once.
func TestSameContents(t *testing.T) {
	t.Parallel()
	w := pushed(1)
	commit := &w.commits[0]
	for i := range 50 {
		commit.Files = append(commit.Files, preview.ChangedFile{Path: fmt.Sprintf("copies/%d.txt", i), Blob: id(2000)})
	}
	w.blobs[id(2000)] = "t = '" + token() + "'\n"
	if _, err := w.scanner(0).Scan(t.Context(), w.wanted()); err != nil || len(w.shown) != 1 || w.reads != 2 {
		t.Fatalf("%d reads, %d checks, %v", w.reads, len(w.shown), err)
	}
	if list := w.shown[0].Annotations; len(list) != 50 {
		t.Errorf("%d annotations for 50 files", len(list))
	}
}

// A content that several commits bring is read once, also if not all of it can be searched.
func TestContentsAreReadOnce(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"text\n", "t = '" + token() + "'\n", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xff\xff", strings.Repeat("x", maxBlob+1)} {
		w := pushed(6)
		for i := 1; i < 6; i += 2 { // as it comes and goes
			w.commits[i].Files = []preview.ChangedFile{{Path: "a.txt", Blob: id(500)}}
		}
		w.blobs = map[string]string{id(500): text, id(1000): "0\n", id(1002): "2\n", id(1004): "4\n"}
		if _, err := w.scanner(0).Scan(t.Context(), w.wanted()); err != nil || len(w.shown) != 1 || w.reads != 4 {
			t.Errorf("%.10q: %d reads, %d checks, %v", text, w.reads, len(w.shown), err)
		}
	}
}

// The message of a pushed tag is scanned, and those of the tags that it is a tag of, also when the check is run again.
func TestMessagesOfTags(t *testing.T) {
	t.Parallel()
	secret := "t = '" + token() + "'\n"
	ring := map[string]preview.Tag{}
	for i := range maxTags + 1 {
		ring[id(2000+i)] = preview.Tag{Message: "one more", Of: id(2001 + i), OfTag: true}
	}
	for _, tt := range []struct {
		name       string
		tags       map[string]preview.Tag
		conclusion string
		title      string // begins so
		summary    string // is in it
	}{
		{"nothing", map[string]preview.Tag{id(2000): {Message: "a release", Of: id(1)}}, "success", "No secrets found", ""},
		{"a secret", map[string]preview.Tag{id(2000): {Message: "a release\n" + secret, Of: id(1)}}, "failure", "Secrets found: 1 certain", "line 2 of the message of tag 0000000"},
		{"in a tag of it", map[string]preview.Tag{id(2000): {Message: "signed", Of: id(2001), OfTag: true}, id(2001): {Message: secret, Of: id(1)}}, "failure", "Secrets found: 1 certain", "line 1 of the message of tag 0000000"},
		{"gone", nil, "neutral", "Not everything was scanned", "does not have the object 0000000 of a tag any more"},
		{"tags without an end", ring, "failure", "Not scanned: more than 16 tags", ""},
	} {
		w := pushed(1)
		w.tags = tt.tags
		wanted := w.wanted()
		wanted.Before, wanted.Branch, wanted.Tag = "", "refs/tags/v1", id(2000)
		for _, what := range []string{"", ", again"} {
			if _, err := w.scanner(0).Scan(t.Context(), wanted); err != nil || len(w.shown) != 1 {
				t.Fatalf("%s%s: %d checks, %v", tt.name, what, len(w.shown), err)
			}
			check := w.shown[0]
			if check.Conclusion != tt.conclusion || !strings.HasPrefix(check.Title, tt.title) || !strings.Contains(check.Summary, tt.summary) {
				t.Errorf("%s%s: %s, %q\n%s", tt.name, what, check.Conclusion, check.Title, check.Summary)
			}
			w.shown, w.answered, w.summary = nil, check.Conclusion, check.Summary
			wanted = preview.Scan{ProjectID: wanted.ProjectID, SHA: wanted.SHA}
		}
	}
}
