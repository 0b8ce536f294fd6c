package github

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

type refChange struct{ ref, before, after string }

// changedRefs compares two listings of refs, in name order.
func changedRefs(before, after map[string]string) []refChange {
	names := map[string]string{}
	maps.Copy(names, before)
	maps.Copy(names, after)
	var changes []refChange
	for _, ref := range slices.Sorted(maps.Keys(names)) {
		old, now := before[ref], after[ref]
		if old == now {
			continue
		}
		if old == "" {
			old = zeroSHA
		}
		if now == "" {
			now = zeroSHA
		}
		changes = append(changes, refChange{ref, old, now})
	}
	return changes
}

// Commit commits files onto a branch as the repository's owner would push it, and gives the SHA. Empty
// content deletes a file; a branch that does not exist starts at the default branch.
func (s *Server) Commit(repo, branch string, files map[string]string, message string) (string, error) {
	return s.CommitAs("", repo, branch, files, message)
}

// CommitAs is Commit by a person, who becomes author and sender.
func (s *Server) CommitAs(actor, repo, branch string, files map[string]string, message string) (string, error) {
	return s.commitOn(actor, repo, branch, "", files, message)
}

// ForceCommit moves a branch to a new commit on top of parent (a SHA or branch), as a force push does.
func (s *Server) ForceCommit(repo, branch, parent string, files map[string]string, message string) (string, error) {
	return s.commitOn("", repo, branch, parent, files, message)
}

func (s *Server) commitOn(actor, repo, branch, parent string, files map[string]string, message string) (string, error) {
	var changes []change
	for _, path := range slices.Sorted(maps.Keys(files)) {
		changes = append(changes, change{path: path, mode: "100644", content: []byte(files[path]), remove: files[path] == ""})
	}
	var sha string
	err := s.write(repo, actor, func(ctx context.Context, r *repository, by *User) error {
		ref := "refs/heads/" + branch
		from := ""
		for _, rev := range []string{parent, ref, "refs/heads/" + r.defaultBranch} {
			if from = s.git.resolve(ctx, r.dir, rev); from != "" {
				break
			}
		}
		var err error
		sha, err = s.git.write(ctx, r.dir, ref, from, by.Login, message, changes)
		return err
	})
	return sha, err
}

// SetBranch points a branch at a commit (a SHA or branch), creating it if need be; an empty target deletes it.
func (s *Server) SetBranch(repo, branch, target, actor string) error {
	return s.write(repo, actor, func(ctx context.Context, r *repository, _ *User) error {
		if target == "" {
			_, err := s.git.run(ctx, r.dir, nil, "update-ref", "-d", "refs/heads/"+branch)
			return err
		}
		sha := s.git.resolve(ctx, r.dir, target)
		if sha == "" {
			return fmt.Errorf("commit %q: %w", target, ErrNotFound)
		}
		_, err := s.git.run(ctx, r.dir, nil, "update-ref", "refs/heads/"+branch, sha)
		return err
	})
}

// write lets f move refs of a repository and then does what a push does.
func (s *Server) write(repo, actor string, f func(context.Context, *repository, *User) error) error {
	ctx := context.Background()
	r, err := s.lookup(repo)
	if err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	before, err := s.git.refs(ctx, r.dir)
	if err != nil {
		return fmt.Errorf("repository %s: %w", repo, err)
	}
	s.mu.Lock()
	by := r.owner
	if actor != "" {
		by = s.user(actor)
	}
	who := *by
	s.mu.Unlock()
	if err := f(ctx, r, &who); err != nil {
		return fmt.Errorf("repository %s: %w", repo, err)
	}
	after, err := s.git.refs(ctx, r.dir)
	if err != nil {
		return fmt.Errorf("repository %s: %w", repo, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushed(ctx, r, by, changedRefs(before, after))
	return nil
}

// Branch gives the commit of a branch, or "" if there is none.
func (s *Server) Branch(repo, branch string) (string, error) {
	r, err := s.lookup(repo)
	if err != nil {
		return "", err
	}
	return s.git.resolve(context.Background(), r.dir, "refs/heads/"+branch), nil
}

// pushed does everything that follows from moved refs: events, heads of pull requests, merges, closes.
// The caller holds s.mu.
func (s *Server) pushed(ctx context.Context, r *repository, by *User, changes []refChange) {
	for _, c := range changes {
		r.pushed, r.updated = s.now(), s.now()
		s.emitPush(ctx, r, by, c)
		branch, ok := strings.CutPrefix(c.ref, "refs/heads/")
		if !ok || strings.HasPrefix(branch, "gh-readonly-queue/") {
			continue
		}
		if c.after != zeroSHA {
			s.requestSuite(r, c.after, branch, c.before, by)
		}
		for _, base := range s.repos {
			for _, p := range base.pulls {
				s.syncPull(ctx, p, r, branch, c, by)
			}
		}
	}
}

// syncPull makes a pull request follow a push to its head or its base.
func (s *Server) syncPull(ctx context.Context, p *pullRequest, r *repository, branch string, c refChange, by *User) {
	if !p.open() {
		return
	}
	isHead := p.headRepo == r && p.headRef == branch
	isBase := p.repo == r && p.baseRef == branch
	switch {
	case isHead && c.after == zeroSHA, isBase && c.after == zeroSHA:
		s.closePull(p, by)
	case isHead:
		p.headSHA, p.updated = c.after, s.now()
		if base := s.git.resolve(ctx, p.repo.dir, "refs/heads/"+p.baseRef); base != "" {
			p.baseSHA = base
		}
		if err := s.trackHead(ctx, p); err != nil {
			s.log.Error("pull request head", "repo", p.repo.fullName(), "pr", p.number, "error", err)
		}
		s.emitPull("synchronize", p, by, object{"before": c.before, "after": c.after})
	case isBase && s.git.ancestor(ctx, r.dir, p.headSHA, c.after):
		p.merged, p.mergedBy, p.mergeSHA = s.now(), by, c.after
		s.closePull(p, by)
	}
}

// autoOpen opens a pull request for each branch that a push over HTTP created.
func (s *Server) autoOpen(r *repository, by *User, changes []refChange) {
	for _, c := range changes {
		branch, ok := strings.CutPrefix(c.ref, "refs/heads/")
		if !ok || c.before != zeroSHA || branch == r.defaultBranch {
			continue
		}
		title := branch
		if commit, err := s.git.line(context.Background(), r.dir, "log", "-1", "--format=%s", c.after); err == nil && commit != "" {
			title = commit
		}
		base, head := r, branch
		if r.parent != nil {
			base, head = r.parent, r.owner.Login+":"+branch
		}
		if _, err := s.openPR(base, title, head, "", "", by); err != nil {
			s.log.Error("open pull request", "repo", r.fullName(), "branch", branch, "error", err)
		}
	}
}

// pushCommits is how many commits a push payload lists, at most.
const pushCommits = 20

func (s *Server) emitPush(ctx context.Context, r *repository, by *User, c refChange) {
	repo := s.repoJSON(r)
	repo["pushed_at"], repo["created_at"], repo["master_branch"], repo["stargazers"] = r.pushed.Unix(), r.created.Unix(), r.defaultBranch, 0
	owner := s.userJSON(r.owner)
	owner["name"], owner["email"] = r.owner.Login, nil
	repo["owner"] = owner
	created, deleted := c.before == zeroSHA, c.after == zeroSHA
	commits := []object{}
	forced := false
	var headCommit any
	if !deleted {
		commits = s.pushCommitsJSON(ctx, r, c)
		forced = !created && !s.git.ancestor(ctx, r.dir, c.before, c.after)
		if one, ok := s.git.commit(ctx, r.dir, s.git.resolve(ctx, r.dir, c.after)); ok { // after is a tag's own object
			headCommit = s.pushCommitJSON(r, one, nil)
			if len(commits) > 0 {
				headCommit = commits[len(commits)-1]
			}
		}
	}
	s.emitRepo("push", "", r, by, object{
		"ref": c.ref, "before": c.before, "after": c.after, "repository": repo, "pusher": object{"name": by.Login, "email": by.Login + "@users.noreply.github.com"},
		"created": created, "deleted": deleted, "forced": forced, "base_ref": nil, "commits": commits, "head_commit": headCommit,
		"compare": fmt.Sprintf("%s/%s/compare/%.12s...%.12s", s.base, r.fullName(), c.before, c.after),
	})
	if !created && !deleted {
		return
	}
	kind, name := "branch", strings.TrimPrefix(c.ref, "refs/heads/")
	if tag, ok := strings.CutPrefix(c.ref, "refs/tags/"); ok {
		kind, name = "tag", tag
	}
	if deleted {
		s.emitRepo("delete", "", r, by, object{"ref": name, "ref_type": kind, "pusher_type": "user"})
		return
	}
	s.emitRepo("create", "", r, by, object{"ref": name, "ref_type": kind, "master_branch": r.defaultBranch, "description": nil, "pusher_type": "user"})
}

func (s *Server) pushCommitsJSON(ctx context.Context, r *repository, c refChange) []object {
	list := []object{}
	revs := []string{c.after, "^" + c.before}
	if c.before == zeroSHA {
		revs = []string{c.after}
		if base := s.git.resolve(ctx, r.dir, "refs/heads/"+r.defaultBranch); base != "" && base != c.after {
			revs = append(revs, "^"+base)
		}
	}
	commits, err := s.git.commits(ctx, r.dir, append([]string{fmt.Sprintf("-%d", pushCommits), "--topo-order"}, revs...)...)
	if err != nil {
		s.log.Error("list pushed commits", "repo", r.fullName(), "error", err)
		return list
	}
	slices.Reverse(commits)
	files := s.git.touched(ctx, r.dir, commits)
	for _, one := range commits {
		list = append(list, s.pushCommitJSON(r, one, files[one.sha]))
	}
	return list
}

func (s *Server) pushCommitJSON(r *repository, c commit, files map[string][]string) object {
	paths := func(status string) []string { return append([]string{}, files[status]...) }
	person := func(name, email, date string) object {
		return object{"name": name, "email": email, "username": name, "date": date}
	}
	return object{
		"id": c.sha, "tree_id": c.tree, "distinct": true, "message": c.message, "timestamp": c.committerDate,
		"url":    fmt.Sprintf("%s/%s/commit/%s", s.base, r.fullName(), c.sha),
		"author": person(c.authorName, c.authorEmail, c.authorDate), "committer": person(c.committerName, c.committerEmail, c.committerDate),
		"added": paths("A"), "removed": paths("D"), "modified": paths("M"),
	}
}
