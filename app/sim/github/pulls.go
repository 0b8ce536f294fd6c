package github

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

type pullRequest struct {
	id          int64
	number      int
	repo        *repository // of the base
	title, body string
	author      *User
	headRepo    *repository // may have been deleted since
	headOwner   *User
	headRef     string
	headSHA     string
	baseRef     string
	baseSHA     string
	draft       bool
	labels      []string
	created     time.Time
	updated     time.Time
	closed      time.Time
	merged      time.Time
	mergedBy    *User
	mergeSHA    string
	reviews     []*review
	facts       pullFacts
}

// pullFacts is what git says of a pull request; it holds for one pair of commits.
type pullFacts struct {
	of                                     string
	commits, additions, deletions, changed int
	mergeable                              bool
}

func (p *pullRequest) open() bool { return p.closed.IsZero() }

func (p *pullRequest) headGone() bool { return p.headRepo == nil || p.headRepo.deleted }

// PullRequest is a pull request as it stands.
type PullRequest struct {
	Number           int
	Title, Author    string
	Body             string
	Open, Merged     bool
	Draft            bool
	HeadRepo         string // "owner/name", empty when the fork was deleted
	HeadRef, HeadSHA string
	BaseRef, BaseSHA string
	Labels           []string
	URL              string // its page
}

// OpenPR opens a pull request and gives its number. head is a branch of repo, or "owner:branch"
// for one in that owner's fork; an empty base is the default branch. A title with the prefix "Draft: " makes a draft.
func (s *Server) OpenPR(repo, title, head, base, author string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return 0, err
	}
	p, err := s.openPR(r, title, head, base, "", s.user(author))
	if err != nil {
		return 0, fmt.Errorf("pull request in %s: %w", repo, err)
	}
	return p.number, nil
}

func (s *Server) openPR(r *repository, title, head, base, body string, author *User) (*pullRequest, error) {
	ctx := context.Background()
	if base == "" {
		base = r.defaultBranch
	}
	headRepo, headRef := r, head
	if owner, branch, ok := strings.Cut(head, ":"); ok {
		headRef = branch
		if headRepo = s.forkOf(r, owner); headRepo == nil {
			return nil, fmt.Errorf("no fork of %s at %s", r.fullName(), owner)
		}
	}
	headSHA, baseSHA := s.git.resolve(ctx, headRepo.dir, "refs/heads/"+headRef), s.git.resolve(ctx, r.dir, "refs/heads/"+base)
	switch {
	case headSHA == "":
		return nil, fmt.Errorf("branch %q: %w", head, ErrNotFound)
	case baseSHA == "":
		return nil, fmt.Errorf("branch %q: %w", base, ErrNotFound)
	}
	for _, p := range r.pulls {
		if p.open() && p.headRepo == headRepo && p.headRef == headRef && p.baseRef == base {
			return nil, fmt.Errorf("%s:%s: %w", headRepo.owner.Login, headRef, errPullExists)
		}
	}
	title, draft := strings.CutPrefix(title, "Draft: ")
	r.numbers++
	p := &pullRequest{
		id: s.next(), number: r.numbers, repo: r, title: title, body: body, draft: draft, author: author, headRepo: headRepo, headOwner: headRepo.owner,
		headRef: headRef, headSHA: headSHA, baseRef: base, baseSHA: baseSHA, created: s.now(), updated: s.now(),
	}
	if err := s.trackHead(ctx, p); err != nil {
		return nil, err
	}
	r.pulls = append(r.pulls, p)
	s.emitPull("opened", p, author, object{})
	return p, nil
}

func (s *Server) forkOf(r *repository, owner string) *repository {
	for _, other := range s.repos {
		if strings.EqualFold(other.owner.Login, owner) && (other == r || other.parent == r) {
			return other
		}
	}
	return nil
}

// trackHead moves refs/pull/N/head in the base repository, bringing the commits over from a fork.
func (s *Server) trackHead(ctx context.Context, p *pullRequest) error {
	ref := fmt.Sprintf("refs/pull/%d/head", p.number)
	var err error
	if p.headRepo == p.repo {
		_, err = s.git.run(ctx, p.repo.dir, nil, "update-ref", ref, p.headSHA)
	} else {
		_, err = s.git.run(ctx, p.repo.dir, nil, "fetch", "--quiet", "--no-tags", p.headRepo.dir, "+"+p.headSHA+":"+ref)
	}
	return err
}

func (s *Server) emitPull(action string, p *pullRequest, sender *User, fields object) {
	fields["number"] = p.number
	fields["pull_request"] = s.pullJSON(p)
	s.emitRepo("pull_request", action, p.repo, sender, fields)
}

func (s *Server) findPull(repo string, number int) (*pullRequest, error) {
	r, err := s.mustFind(repo)
	if err != nil {
		return nil, err
	}
	if p := r.pull(number); p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("pull request %s#%d: %w", repo, number, ErrNotFound)
}

func (r *repository) pull(number int) *pullRequest {
	for _, p := range r.pulls {
		if p.number == number {
			return p
		}
	}
	return nil
}

// withPull runs f on a pull request under the lock.
func (s *Server) withPull(repo string, number int, f func(p *pullRequest) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findPull(repo, number)
	if err != nil {
		return err
	}
	p.updated = s.now()
	if err := f(p); err != nil {
		return fmt.Errorf("pull request %s#%d: %w", repo, number, err)
	}
	return nil
}

// ClosePR closes an open pull request.
func (s *Server) ClosePR(repo string, number int, actor string) error {
	return s.withPull(repo, number, func(p *pullRequest) error {
		if !p.open() {
			return errors.New("is closed")
		}
		s.closePull(p, s.user(actor))
		return nil
	})
}

func (s *Server) closePull(p *pullRequest, actor *User) {
	p.closed, p.updated = s.now(), s.now()
	s.emitPull("closed", p, actor, object{})
}

// Reopen opens a closed pull request again; its head is what the branch has now.
func (s *Server) Reopen(repo string, number int, actor string) error {
	return s.withPull(repo, number, func(p *pullRequest) error {
		switch {
		case p.open() || !p.merged.IsZero():
			return errors.New("is open or merged")
		case p.headGone():
			return errors.New("the head repository was deleted")
		}
		ctx := context.Background()
		head := s.git.resolve(ctx, p.headRepo.dir, "refs/heads/"+p.headRef)
		if head == "" {
			return errors.New("the head branch was deleted")
		}
		p.closed, p.headSHA = time.Time{}, head
		if err := s.trackHead(ctx, p); err != nil {
			return err
		}
		s.emitPull("reopened", p, s.user(actor), object{})
		return nil
	})
}

// Retarget changes the base branch.
func (s *Server) Retarget(repo string, number int, base, actor string) error {
	return s.withPull(repo, number, func(p *pullRequest) error {
		sha := s.git.resolve(context.Background(), p.repo.dir, "refs/heads/"+base)
		if sha == "" {
			return fmt.Errorf("branch %q: %w", base, ErrNotFound)
		}
		changes := object{"base": object{"ref": object{"from": p.baseRef}, "sha": object{"from": p.baseSHA}}}
		p.baseRef, p.baseSHA = base, sha
		s.emitPull("edited", p, s.user(actor), object{"changes": changes})
		return nil
	})
}

// EditTitle changes the title.
func (s *Server) EditTitle(repo string, number int, title, actor string) error {
	return s.withPull(repo, number, func(p *pullRequest) error {
		changes := object{"title": object{"from": p.title}}
		p.title = title
		s.emitPull("edited", p, s.user(actor), object{"changes": changes})
		return nil
	})
}

// Label adds a label.
func (s *Server) Label(repo string, number int, label, actor string) error {
	return s.withPull(repo, number, func(p *pullRequest) error {
		if !slices.Contains(p.labels, label) {
			p.labels = append(p.labels, label)
			s.emitPull("labeled", p, s.user(actor), object{"label": s.labelJSON(p.repo, label)})
		}
		return nil
	})
}

// Unlabel removes a label.
func (s *Server) Unlabel(repo string, number int, label, actor string) error {
	return s.withPull(repo, number, func(p *pullRequest) error {
		if i := slices.Index(p.labels, label); i >= 0 {
			p.labels = slices.Delete(p.labels, i, i+1)
			s.emitPull("unlabeled", p, s.user(actor), object{"label": s.labelJSON(p.repo, label)})
		}
		return nil
	})
}

// SetDraft makes a pull request a draft, or ready for review.
func (s *Server) SetDraft(repo string, number int, draft bool, actor string) error {
	return s.withPull(repo, number, func(p *pullRequest) error {
		if p.draft == draft {
			return nil
		}
		p.draft = draft
		s.emitPull(map[bool]string{true: "converted_to_draft", false: "ready_for_review"}[draft], p, s.user(actor), object{})
		return nil
	})
}

// MergePR merges a pull request with a merge commit, whose SHA it gives: a push to the base, then closed with merged true.
func (s *Server) MergePR(repo string, number int, actor string) (string, error) {
	r, err := s.lookup(repo)
	if err != nil {
		return "", err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	var merged string
	err = s.withPull(repo, number, func(p *pullRequest) error {
		if !p.open() {
			return errors.New("is closed")
		}
		ctx := context.Background()
		ref := "refs/heads/" + p.baseRef
		base := s.git.resolve(ctx, r.dir, ref)
		sha, err := s.git.mergeCommit(ctx, r.dir, base, p.headSHA, fmt.Sprintf("Merge pull request #%d from %s\n\n%s", p.number, p.headRef, p.title))
		if err != nil {
			return err
		}
		if _, err := s.git.run(ctx, r.dir, nil, "update-ref", ref, sha, base); err != nil {
			return err
		}
		by := s.user(actor)
		p.merged, p.closed, p.mergedBy, p.mergeSHA = s.now(), s.now(), by, sha
		s.pushed(ctx, r, by, []refChange{{ref, base, sha}})
		s.emitPull("closed", p, by, object{})
		merged = sha
		return nil
	})
	return merged, err
}

// PR gives a pull request as it stands.
func (s *Server) PR(repo string, number int) (PullRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findPull(repo, number)
	if err != nil {
		return PullRequest{}, err
	}
	return s.snapshot(p), nil
}

// PRs lists a repository's pull requests, oldest first.
func (s *Server) PRs(repo string) ([]PullRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return nil, err
	}
	list := make([]PullRequest, len(r.pulls))
	for i, p := range r.pulls {
		list[i] = s.snapshot(p)
	}
	return list, nil
}

func (s *Server) snapshot(p *pullRequest) PullRequest {
	head := ""
	if !p.headGone() {
		head = p.headRepo.fullName()
	}
	return PullRequest{
		Number: p.number, Title: p.title, Body: p.body, Author: p.author.Login, Open: p.open(), Merged: !p.merged.IsZero(), Draft: p.draft,
		HeadRepo: head, HeadRef: p.headRef, HeadSHA: p.headSHA, BaseRef: p.baseRef, BaseSHA: p.baseSHA,
		Labels: slices.Clone(p.labels), URL: s.pullPage(p),
	}
}

func (s *Server) pullPage(p *pullRequest) string {
	return fmt.Sprintf("%s/%s/pull/%d", s.base, p.repo.fullName(), p.number)
}
