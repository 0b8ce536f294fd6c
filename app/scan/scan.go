package scan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/flaresmith/flaresmith/action/secretscan"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
	"github.com/flaresmith/flaresmith/app/report"
)

// Bounds of one search.
const (
	// spell is how long one look goes on before it lets others have their turn; what it has done is kept.
	spell = 45 * time.Second
	again = time.Second

	maxCommits = 500
	maxFiles   = 20_000
	maxBlob    = 16 << 20 // bytes
	maxTags    = 16       // of one another
)

// errSpent says that the time of one look is over and there is more to do.
var errSpent = errors.New("the rest is for the next look")

// Scanner answers preview.Scans. It is safe for concurrent use, also on one commit.
type Scanner struct {
	GitHub GitHub
	Store  Store
	Now    func() time.Time
	Logger *slog.Logger
	Spell  time.Duration // zero: 45 seconds
}

// Scan looks for secrets and writes the check, if the repository's policy says that the server does. It says how
// long to wait until it has to be called again for the rest: 0 means that it is done. Its error is worth another
// try; what no retry cures is in the check.
func (s *Scanner) Scan(ctx context.Context, wanted preview.Scan) (wait time.Duration, err error) {
	project, due, err := s.due(ctx, wanted)
	if err != nil || !due {
		return 0, err
	}
	limit := s.Spell
	if limit == 0 {
		limit = spell
	}
	l := &look{Scanner: s, project: project, wanted: wanted, until: time.Now().Add(limit), seen: map[[32]byte]content{}}
	named, err := l.named(ctx)
	if err == nil && l.head != "" { // two on one commit would make two checks, and the one that knows less might be the last
		err = s.Store.ScanAlone(ctx, project.ID, l.head, func(ctx context.Context) error { return l.run(ctx, named) })
	}
	switch {
	case errors.Is(err, errSpent), errors.Is(err, preview.ErrLeased):
		return again, nil
	case errors.Is(err, preview.ErrGone):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("scan %s for secrets: %w", project.FullName(), err)
	}
	return 0, nil
}

// due reads the project, and reports whether its default branch says "secrets: app". The file is not asked for
// where the last valid one says otherwise: when that changes, all pull requests are scanned anew.
func (s *Scanner) due(ctx context.Context, wanted preview.Scan) (preview.Project, bool, error) {
	project, err := s.Store.Project(ctx, wanted.ProjectID)
	if err != nil || project.Archived || project.DefaultBranch == "" {
		return project, false, err
	}
	if _, err := s.Store.Entitlement(ctx, project); err != nil {
		if errors.Is(err, preview.ErrNotFound) {
			err = nil // the operator does not serve it
		}
		return project, false, err
	}
	good, known, err := s.Store.GoodConfig(ctx, project.ID)
	if err != nil || known && !byApp(good) {
		return project, false, err
	}
	now, found, err := s.GitHub.ConfigFile(ctx, project, project.DefaultBranch)
	switch {
	case errors.Is(err, preview.ErrGone), errors.Is(err, preview.ErrNotFound):
		return project, false, nil
	case err != nil, !found:
		return project, false, err
	}
	if _, problems := repoconfig.Parse(now); len(problems) > 0 { // the last valid one stays in force
		return project, known, nil
	}
	return project, byApp(now), nil
}

func byApp(file []byte) bool {
	config, problems := repoconfig.Parse(file)
	return len(problems) == 0 && config.Policy.Secrets == repoconfig.SecretsApp
}

// look is one search for one commit.
type look struct {
	*Scanner
	project preview.Project
	wanted  preview.Scan
	until   time.Time

	head   string
	result result
	clean  [][32]byte                   // not saved yet
	seen   map[[32]byte]content         // by key, of this look
	trees  map[string]map[string]string // by commit: blob by path
}

// run looks for everything that the commit is the head of: each pull request, and a push.
func (l *look) run(ctx context.Context, named []preview.Head) error {
	heads, err := l.others(ctx, named)
	if err != nil {
		return err
	}
	push := l.wanted.Before != "" || l.wanted.Branch != ""
	if push || len(heads) == 0 {
		said, summary, err := l.GitHub.Answered(ctx, l.project, l.check())
		switch {
		case err != nil:
			return err
		case push && said == "failure" && len(heads) == 0:
			return nil // it knows less than a pull request that had this head: it makes nothing green
		case !push: // a re-run, of what a push brought: the check says what that was
			if push = l.again(summary); !push {
				return nil
			}
		}
	}
	l.result.pushed = push && len(heads) == 0
	for _, head := range heads {
		if err = l.pull(ctx, head); err != nil {
			break
		}
	}
	if err == nil && push {
		err = l.push(ctx)
	}
	if saveErr := l.Store.SaveClean(context.WithoutCancel(ctx), l.project.ID, l.clean); saveErr != nil && err == nil {
		err = saveErr
	}
	var no *notScannedError
	switch {
	case errors.As(err, &no):
		l.result.notScanned = no.reason
	case err != nil && !errors.Is(err, errSpent) && ctx.Err() == nil && preview.Classify(err) == preview.ClassPermanent:
		l.Logger.WarnContext(ctx, "secrets were not scanned", slog.String("repo", l.project.FullName()), slog.String("sha", l.head), slog.Any("error", err))
		l.result.notScanned = "GitHub refused a part of it, or something is wrong here; the server's log says more. Re-run the check when that is mended"
	case err != nil:
		return err
	}
	check := l.render()
	l.Logger.InfoContext(ctx, "scanned for secrets", slog.String("repo", l.project.FullName()), slog.String("sha", l.head),
		slog.String("conclusion", check.Conclusion), slog.Int("findings", len(l.result.findings)))
	return l.GitHub.ShowCheck(ctx, l.project, check)
}

// named finds the commit, and reads the pull request that was named. None that is open leaves no commit.
func (l *look) named(ctx context.Context) (heads []preview.Head, err error) {
	l.head = l.wanted.SHA
	if l.wanted.PR == 0 {
		return nil, nil
	}
	head, err := l.GitHub.PullHead(ctx, l.project, l.wanted.PR)
	switch {
	case absent(err):
		return nil, preview.Transient(err) // GitHub may tell of one a moment before it can be read
	case err != nil, !head.Open:
		return nil, err
	}
	l.head = head.HeadSHA
	return []preview.Head{head}, nil
}

// others adds the other open pull requests whose head the commit is.
func (l *look) others(ctx context.Context, heads []preview.Head) ([]preview.Head, error) {
	all, err := l.GitHub.PullHeads(ctx, l.project, l.head)
	if err != nil && !absent(err) {
		return nil, err
	}
	for _, other := range all {
		if other.Number != l.wanted.PR {
			heads = append(heads, other)
		}
	}
	return heads, nil
}

// absent tells that the repository is there and the named thing is not.
func absent(err error) bool {
	return errors.Is(err, preview.ErrNotFound) && !errors.Is(err, preview.ErrGone)
}

// notScannedError is a reason why this says nothing about secrets, which no retry cures. It is ours and quotes nobody.
type notScannedError struct{ reason string }

func (e *notScannedError) Error() string { return "not scanned: " + e.reason }

func notScanned(format string, args ...any) error {
	return &notScannedError{fmt.Sprintf(format, args...)}
}

// pull looks at a pull request: its commits, and its text. Somebody without write access to the repository, who
// needs a fork, does not decide what is allowed.
func (l *look) pull(ctx context.Context, head preview.Head) error {
	from, inline := head.HeadSHA, true
	if head.Fork {
		from, inline = head.BaseSHA, false
	}
	c, err := l.contents(ctx, from, inline)
	if err != nil {
		return err
	}
	l.result.scanned = append(l.result.scanned, fmt.Sprintf("pull request #%d", head.Number))
	if head.Fork {
		l.result.fork = true
	}
	what := fmt.Sprintf("the title and text of pull request #%d", head.Number)
	if err := l.text(c, what, head.Title+"\n"+head.Body); err != nil {
		return err
	}
	if err := l.comments(ctx, c, head); err != nil {
		return err
	}
	return l.between(ctx, c, head.BaseSHA, head.HeadSHA)
}

// comments looks at what is written below a pull request and in its reviews. Anybody may write there, so that only who
// belongs to the repository, or opened the pull request, can fail its check. What others write takes no room of that in the list.
func (l *look) comments(ctx context.Context, c *secretscan.Contents, head preview.Head) error {
	list, whole, err := l.GitHub.Comments(ctx, l.project, head.Number)
	if err != nil {
		return err
	}
	if !whole {
		l.result.note(fmt.Sprintf("pull request #%d has more comments and reviews than the %d that were scanned", head.Number, len(list)))
	}
	apart := c.Apart()
	for _, comment := range list {
		aside, by := !comment.Member && comment.Author != head.Author, c
		if aside {
			by = apart
		}
		some, over, err := l.search(by, fmt.Sprintf("%s %d on pull request #%d", comment.What, comment.ID, head.Number), comment.Body)
		if err != nil {
			return err
		}
		for i := range some {
			some[i].aside = aside
		}
		l.result.over = l.result.over || over && !aside
		l.result.take(c, some)
	}
	return nil
}

// push looks at what a push brought. Of a new branch that is what the default branch lacks.
func (l *look) push(ctx context.Context) error {
	c, err := l.contents(ctx, l.head, true)
	if err != nil {
		return err
	}
	if err := l.tags(ctx, c); err != nil {
		return err
	}
	base := l.wanted.Before
	if base == "" && l.wanted.Branch == l.project.DefaultBranch {
		return notScanned("the branch is new, so no push says where its commits begin. Scan it once with the action's mode history")
	}
	if base == "" {
		base = l.project.DefaultBranch
	}
	err = l.between(ctx, c, base, l.head)
	if absent(err) && l.wanted.Before != "" && l.wanted.Branch != l.project.DefaultBranch { // a rewritten branch whose past is gone
		err = l.between(ctx, c, l.project.DefaultBranch, l.head)
	}
	if absent(err) {
		return notScanned("GitHub does not have the commits of the push any more")
	}
	l.result.scanned = append(l.result.scanned, "the push")
	return err
}

// tags looks at the message of a pushed tag, and of those that it is a tag of. One that was deleted meanwhile may be gone.
func (l *look) tags(ctx context.Context, c *secretscan.Contents) error {
	count := 0
	for id := l.wanted.Tag; id != ""; count++ {
		if count == maxTags {
			return notScanned("more than %d tags are tags of one another", maxTags)
		}
		tag, err := l.GitHub.Tag(ctx, l.project, id)
		if absent(err) {
			l.result.leave(fmt.Sprintf("GitHub does not have the object %.7s of a tag any more, whose message was not scanned", id))
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.text(c, fmt.Sprintf("the message of tag %.7s", id), tag.Message); err != nil {
			return err
		}
		if id = ""; tag.OfTag {
			id = tag.Of
		}
	}
	return nil
}

// contents is a search with the ignore file of a commit.
func (l *look) contents(ctx context.Context, commit string, inline bool) (*secretscan.Contents, error) {
	trust := secretscan.Trust{Inline: inline}
	tree, err := l.tree(ctx, commit)
	if err != nil && !absent(err) {
		return nil, err
	}
	if blob := tree[secretscan.IgnoreFile]; blob != "" {
		if trust.IgnoreFile, err = l.GitHub.Blob(ctx, l.project, blob, 1<<20); err != nil {
			if errors.Is(err, preview.ErrTooLarge) {
				return nil, notScanned("%s at %.7s is larger than 1 MiB", secretscan.IgnoreFile, commit)
			}
			return nil, err
		}
	}
	c, err := secretscan.NewContents(trust, l.Now())
	if err != nil { // its text may quote the file
		return nil, notScanned("%s at %.7s is not valid; the action's secret-scan says where", secretscan.IgnoreFile, commit)
	}
	return c, nil
}

func (l *look) check() report.Check {
	return report.Check{Name: CheckName, HeadSHA: l.head, ExternalID: "secrets", Status: "completed"}
}
