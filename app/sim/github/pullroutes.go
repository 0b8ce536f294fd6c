package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// simplePullJSON is the form of lists.
func (s *Server) simplePullJSON(p *pullRequest) object {
	api, page := s.apiURL("/repos/%s", p.repo.fullName()), s.pullPage(p)
	self, issue := fmt.Sprintf("%s/pulls/%d", api, p.number), fmt.Sprintf("%s/issues/%d", api, p.number)
	labels := []object{}
	for _, label := range p.labels {
		labels = append(labels, s.labelJSON(p.repo, label))
	}
	link := func(href string) object { return object{"href": href} }
	var head any
	if !p.headGone() {
		head = s.repoJSON(p.headRepo)
	}
	var mergeSHA any
	if p.mergeSHA != "" {
		mergeSHA = p.mergeSHA
	}
	state := "open"
	if !p.open() {
		state = "closed"
	}
	return object{
		"url": self, "id": p.id, "node_id": nodeID("PR", p.id), "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch",
		"issue_url": issue, "commits_url": self + "/commits", "review_comments_url": self + "/comments",
		"review_comment_url": api + "/pulls/comments{/number}", "comments_url": issue + "/comments", "statuses_url": api + "/statuses/" + p.headSHA,
		"number": p.number, "state": state, "locked": false, "active_lock_reason": nil, "title": p.title, "user": s.userJSON(p.author), "body": emptyNil(p.body),
		"labels": labels, "milestone": nil, "created_at": stamp(p.created), "updated_at": stamp(p.updated), "closed_at": stamp(p.closed),
		"merged_at": stamp(p.merged), "merge_commit_sha": mergeSHA, "assignee": nil, "assignees": []object{}, "requested_reviewers": []object{},
		"requested_teams": []object{}, "draft": p.draft, "author_association": p.repo.association(p.author), "auto_merge": nil,
		"head": object{"label": p.headOwner.Login + ":" + p.headRef, "ref": p.headRef, "sha": p.headSHA, "user": s.userJSON(p.headOwner), "repo": head},
		"base": object{"label": p.repo.owner.Login + ":" + p.baseRef, "ref": p.baseRef, "sha": p.baseSHA, "user": s.userJSON(p.repo.owner), "repo": s.repoJSON(p.repo)},
		"_links": object{
			"self": link(self), "html": link(page), "issue": link(issue), "comments": link(issue + "/comments"), "review_comments": link(self + "/comments"),
			"review_comment": link(api + "/pulls/comments{/number}"), "commits": link(self + "/commits"), "statuses": link(api + "/statuses/" + p.headSHA),
		},
	}
}

// pullJSON is the full form, of a single pull request and of events.
func (s *Server) pullJSON(p *pullRequest) object {
	o := s.simplePullJSON(p)
	facts := s.pullFacts(p)
	comments := 0
	for _, c := range p.repo.comments {
		if c.Issue == p.number {
			comments++
		}
	}
	state := map[bool]string{true: "clean", false: "dirty"}[facts.mergeable]
	if p.draft && facts.mergeable {
		state = "draft"
	}
	o["merged"], o["mergeable"], o["mergeable_state"], o["rebaseable"] = !p.merged.IsZero(), facts.mergeable, state, facts.mergeable
	o["merged_by"] = nil
	if p.mergedBy != nil {
		o["merged_by"] = s.userJSON(p.mergedBy)
	}
	o["comments"], o["review_comments"], o["maintainer_can_modify"] = comments, len(p.reviewComments()), false
	o["commits"], o["additions"], o["deletions"], o["changed_files"] = facts.commits, facts.additions, facts.deletions, facts.changed
	return o
}

func emptyNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// association is what somebody is to the repository.
func (r *repository) association(user *User) string {
	role := r.roles[strings.ToLower(user.Login)]
	switch {
	case user == r.owner:
		return "OWNER"
	case role != "" && role != "none":
		return "COLLABORATOR"
	}
	return "NONE"
}

func (s *Server) labelJSON(r *repository, name string) object {
	id := int64(len(name)) // labels are kept by name only; the number just has to be stable
	for _, b := range []byte(name) {
		id = (id*31 + int64(b)) % 1_000_000_007
	}
	return object{
		"id": id, "node_id": nodeID("LA", id), "url": s.apiURL("/repos/%s/labels/%s", r.fullName(), pathEscape(name)),
		"name": name, "description": "", "color": "ededed", "default": false,
	}
}

// pullFacts asks git, once for each pair of commits.
func (s *Server) pullFacts(p *pullRequest) pullFacts {
	key := p.baseSHA + p.headSHA
	if p.facts.of == key {
		return p.facts
	}
	ctx, f := context.Background(), pullFacts{of: key}
	dir := p.repo.dir
	if count, err := s.git.line(ctx, dir, "rev-list", "--count", p.headSHA, "^"+p.baseSHA); err == nil {
		f.commits, _ = strconv.Atoi(count)
	}
	if stat, err := s.git.line(ctx, dir, "diff", "--shortstat", p.baseSHA+"..."+p.headSHA, "--"); err == nil {
		for part := range strings.SplitSeq(stat, ",") {
			word := strings.Fields(part)
			if len(word) < 2 {
				continue
			}
			n, _ := strconv.Atoi(word[0])
			switch word[1][0] {
			case 'f':
				f.changed = n
			case 'i':
				f.additions = n
			case 'd':
				f.deletions = n
			}
		}
	}
	_, f.mergeable = s.git.mergeTree(ctx, dir, p.baseSHA, p.headSHA)
	p.facts = f
	return f
}

// minimalPullsJSON is the list in check runs and suites: open pull requests of this repository with that head.
func (s *Server) minimalPullsJSON(r *repository, sha string) []object {
	list := []object{}
	short := func(r *repository) object {
		return object{"id": r.id, "name": r.name, "url": s.apiURL("/repos/%s", r.fullName())}
	}
	for _, p := range r.pulls {
		if p.open() && p.headSHA == sha && p.headRepo == r {
			list = append(list, object{
				"id": p.id, "number": p.number, "url": s.apiURL("/repos/%s/pulls/%d", r.fullName(), p.number),
				"head": object{"ref": p.headRef, "sha": p.headSHA, "repo": short(r)},
				"base": object{"ref": p.baseRef, "sha": p.baseSHA, "repo": short(r)},
			})
		}
	}
	return list
}

func (c *call) pathPull(name string) (*pullRequest, error) {
	if p := c.repo.pull(int(c.id(name))); p != nil {
		return p, nil
	}
	return nil, fail(http.StatusNotFound, "Not Found")
}

func (c *call) getPull() (answer, error) {
	p, err := c.pathPull("pull_number")
	if err != nil {
		return answer{}, err
	}
	return answer{body: c.s.pullJSON(p)}, nil
}

func (c *call) listPulls() (answer, error) {
	q := c.r.URL.Query()
	state, head, base := q.Get("state"), q.Get("head"), q.Get("base")
	if state == "" {
		state = "open"
	}
	list := []object{}
	for _, p := range c.repo.pulls {
		switch {
		case state != "all" && (state == "open") != p.open():
		case base != "" && p.baseRef != base:
		case head != "" && !strings.EqualFold(head, p.headOwner.Login+":"+p.headRef):
		default:
			list = append(list, c.s.simplePullJSON(p))
		}
	}
	if sort := q.Get("sort"); (q.Get("direction") == "" && (sort == "" || sort == "created")) || q.Get("direction") == "desc" {
		slices.Reverse(list)
	}
	return c.page(list)
}

// createPull opens a pull request as the App's bot.
func (c *call) createPull() (answer, error) {
	var in struct {
		Title, Head, Base, Body string
		Draft                   bool
	}
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	ctx, g, r := c.r.Context(), c.s.git, c.repo
	_, branch, foreign := strings.Cut(in.Head, ":")
	if !foreign {
		branch = in.Head
	}
	head, base := g.resolve(ctx, r.dir, "refs/heads/"+branch), g.resolve(ctx, r.dir, "refs/heads/"+in.Base)
	custom := func(message string) error {
		return fail(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": "PullRequest", "code": "custom", "message": message})
	}
	switch {
	case in.Title == "":
		return answer{}, invalid("PullRequest", "title", "missing_field", "")
	case base == "":
		return answer{}, invalid("PullRequest", "base", "invalid", "")
	case head == "":
		return answer{}, invalid("PullRequest", "head", "invalid", "")
	case g.ancestor(ctx, r.dir, head, base):
		return answer{}, custom("No commits between " + in.Base + " and " + branch)
	}
	title := in.Title
	if in.Draft {
		title = "Draft: " + title
	}
	p, err := c.s.openPR(r, title, in.Head, in.Base, in.Body, c.bot())
	switch {
	case errors.Is(err, errPullExists):
		return answer{}, custom("A pull request already exists for " + r.owner.Login + ":" + branch + ".")
	case err != nil:
		return answer{}, err
	}
	return answer{status: http.StatusCreated, header: http.Header{"Location": {c.s.apiURL("/repos/%s/pulls/%d", r.fullName(), p.number)}}, body: c.s.pullJSON(p)}, nil
}

func (c *call) commitPulls() (answer, error) {
	sha := c.s.git.resolve(c.r.Context(), c.repo.dir, c.r.PathValue("commit_sha"))
	if sha == "" {
		return answer{}, fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.r.PathValue("commit_sha"))
	}
	list := []object{}
	for _, p := range c.repo.pulls {
		if p.headSHA == sha || p.mergeSHA == sha || (c.s.git.ancestor(c.r.Context(), c.repo.dir, sha, p.headSHA) && !c.s.git.ancestor(c.r.Context(), c.repo.dir, sha, p.baseSHA)) {
			list = append(list, c.s.simplePullJSON(p))
		}
	}
	return c.page(list)
}

func (c *call) pullFiles() (answer, error) {
	p, err := c.pathPull("pull_number")
	if err != nil {
		return answer{}, err
	}
	base, err := c.s.git.line(c.r.Context(), c.repo.dir, "merge-base", p.baseSHA, p.headSHA)
	if err != nil {
		return answer{}, err
	}
	files, err := c.at.diffEntries(c.r.Context(), c.s.git, base, p.headSHA)
	if err != nil {
		return answer{}, err
	}
	return c.page(files)
}

func (c *call) pullCommits() (answer, error) {
	p, err := c.pathPull("pull_number")
	if err != nil {
		return answer{}, err
	}
	commits, err := c.s.git.commits(c.r.Context(), c.repo.dir, "--reverse", p.headSHA, "^"+p.baseSHA)
	if err != nil {
		return answer{}, err
	}
	list := []object{}
	for _, one := range commits {
		list = append(list, c.at.commitJSON(one))
	}
	return c.page(list)
}
