package github

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// commentLimit is the longest body, in characters.
const commentLimit = 65536

// Comment is a comment on a pull request.
type Comment struct {
	ID        int64
	Issue     int // the pull request's number
	User      string
	Body      string
	CreatedAt time.Time
	UpdatedAt time.Time
	Reactions []Reaction
	Edits     int // how often the body was written anew
}

// Reaction is one emoji on a comment.
type Reaction struct {
	ID            int64
	User, Content string
}

// Comment writes a comment on a pull request as a person, and gives its id.
func (s *Server) Comment(repo string, number int, user, body string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findPull(repo, number)
	if err != nil {
		return 0, err
	}
	return s.comment(p, s.user(user), body).ID, nil
}

func (s *Server) comment(p *pullRequest, by *User, body string) *Comment {
	c := &Comment{ID: s.next(), Issue: p.number, User: by.Login, Body: body, CreatedAt: s.now(), UpdatedAt: s.now()}
	p.repo.comments = append(p.repo.comments, c)
	s.emitComment("created", p, c, by, object{})
	return c
}

// EditComment changes a comment's body as a person.
func (s *Server) EditComment(repo string, id int64, user, body string) error {
	return s.changeComment(repo, id, func(r *repository, c *Comment) { s.editComment(r, c, s.user(user), body) })
}

// DeleteComment deletes a comment as a person.
func (s *Server) DeleteComment(repo string, id int64, user string) error {
	return s.changeComment(repo, id, func(r *repository, c *Comment) { s.removeComment(r, c, s.user(user)) })
}

func (s *Server) changeComment(repo string, id int64, change func(*repository, *Comment)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return err
	}
	c := r.comment(id)
	if c == nil {
		return fmt.Errorf("comment %d: %w", id, ErrNotFound)
	}
	change(r, c)
	return nil
}

func (r *repository) comment(id int64) *Comment {
	for _, c := range r.comments {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// Comments lists the comments of a pull request, oldest first; number 0 means all of the repository.
func (s *Server) Comments(repo string, number int) ([]Comment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return nil, err
	}
	var list []Comment
	for _, c := range r.comments {
		if number == 0 || c.Issue == number {
			one := *c
			one.Reactions = slices.Clone(c.Reactions)
			list = append(list, one)
		}
	}
	return list, nil
}

func (s *Server) emitComment(action string, p *pullRequest, c *Comment, by *User, fields object) {
	fields["issue"], fields["comment"] = s.issueJSON(p), s.commentJSON(p.repo, c)
	s.emitRepo("issue_comment", action, p.repo, by, fields)
}

// issueJSON is a pull request seen as an issue.
func (s *Server) issueJSON(p *pullRequest) object {
	simple := s.simplePullJSON(p)
	o := object{}
	for _, key := range []string{
		"id", "node_id", "number", "title", "user", "labels", "state", "locked", "assignee", "assignees", "milestone", "created_at", "updated_at",
		"closed_at", "author_association", "active_lock_reason", "draft", "body", "html_url",
	} {
		o[key] = simple[key]
	}
	api := s.apiURL("/repos/%s", p.repo.fullName())
	self := fmt.Sprintf("%s/issues/%d", api, p.number)
	o["url"], o["repository_url"], o["labels_url"], o["comments_url"] = self, api, self+"/labels{/name}", self+"/comments"
	o["events_url"], o["timeline_url"], o["performed_via_github_app"], o["state_reason"] = self+"/events", self+"/timeline", nil, nil
	o["reactions"] = reactionsJSON(self+"/reactions", nil)
	count := 0
	for _, c := range p.repo.comments {
		if c.Issue == p.number {
			count++
		}
	}
	o["comments"] = count
	o["pull_request"] = object{
		"url": simple["url"], "html_url": simple["html_url"], "diff_url": simple["diff_url"], "patch_url": simple["patch_url"], "merged_at": simple["merged_at"],
	}
	return o
}

func (s *Server) commentJSON(r *repository, c *Comment) object {
	api := s.apiURL("/repos/%s", r.fullName())
	self := fmt.Sprintf("%s/issues/comments/%d", api, c.ID)
	var app any
	if c.User == s.BotLogin() {
		app = s.appJSON()
	}
	return object{
		"id": c.ID, "node_id": nodeID("IC", c.ID), "url": self, "html_url": fmt.Sprintf("%s/%s/pull/%d#issuecomment-%d", s.base, r.fullName(), c.Issue, c.ID),
		"issue_url": fmt.Sprintf("%s/issues/%d", api, c.Issue), "user": s.userJSON(s.user(c.User)), "body": c.Body, "created_at": stamp(c.CreatedAt),
		"updated_at": stamp(c.UpdatedAt), "author_association": r.association(s.user(c.User)), "performed_via_github_app": app,
		"reactions": reactionsJSON(self+"/reactions", c.Reactions),
	}
}

func reactionsJSON(url string, reactions []Reaction) object {
	o := object{"url": url, "total_count": len(reactions)}
	for _, content := range reactionContents() {
		n := 0
		for _, r := range reactions {
			if r.Content == content {
				n++
			}
		}
		o[content] = n
	}
	return o
}

func reactionContents() []string {
	return []string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}
}

func (s *Server) editComment(r *repository, c *Comment, by *User, body string) {
	old := c.Body
	c.Body, c.UpdatedAt = body, s.now()
	c.Edits++
	s.emitComment("edited", r.pull(c.Issue), c, by, object{"changes": object{"body": object{"from": old}}})
}

func (s *Server) removeComment(r *repository, c *Comment, by *User) {
	r.comments = slices.DeleteFunc(r.comments, func(other *Comment) bool { return other == c })
	s.emitComment("deleted", r.pull(c.Issue), c, by, object{})
}

func (c *call) commentBody() (string, error) {
	var in struct {
		Body *string `json:"body"`
	}
	if err := c.decode(&in); err != nil {
		return "", err
	}
	switch {
	case in.Body == nil || strings.TrimSpace(*in.Body) == "":
		return "", invalid("IssueComment", "body", "missing_field", "")
	case utf8.RuneCountInString(*in.Body) > commentLimit:
		return "", invalid("IssueComment", "data", "unprocessable", fmt.Sprintf("Body is too long (maximum is %d characters)", commentLimit))
	}
	return *in.Body, nil
}

func (c *call) listComments() (answer, error) {
	p, err := c.pathPull("issue_number")
	if err != nil {
		return answer{}, err
	}
	since, _ := time.Parse(time.RFC3339, c.r.URL.Query().Get("since"))
	list := []object{}
	for _, comment := range c.repo.comments {
		if comment.Issue == p.number && !comment.UpdatedAt.Before(since) {
			list = append(list, c.s.commentJSON(c.repo, comment))
		}
	}
	return c.page(list)
}

func (c *call) createComment() (answer, error) {
	p, err := c.pathPull("issue_number")
	if err != nil {
		return answer{}, err
	}
	body, err := c.commentBody()
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: c.s.commentJSON(c.repo, c.s.comment(p, c.bot(), body))}, nil
}

func (c *call) pathComment() (*Comment, error) {
	if comment := c.repo.comment(c.id("comment_id")); comment != nil {
		return comment, nil
	}
	return nil, fail(http.StatusNotFound, "Not Found")
}

func (c *call) getComment() (answer, error) {
	comment, err := c.pathComment()
	if err != nil {
		return answer{}, err
	}
	return answer{body: c.s.commentJSON(c.repo, comment)}, nil
}

func (c *call) updateComment() (answer, error) {
	comment, err := c.pathComment()
	if err != nil {
		return answer{}, err
	}
	body, err := c.commentBody()
	if err != nil {
		return answer{}, err
	}
	c.s.editComment(c.repo, comment, c.bot(), body)
	return answer{body: c.s.commentJSON(c.repo, comment)}, nil
}

func (c *call) deleteComment() (answer, error) {
	comment, err := c.pathComment()
	if err != nil {
		return answer{}, err
	}
	c.s.removeComment(c.repo, comment, c.bot())
	return answer{status: http.StatusNoContent}, nil
}

func (c *call) createReaction() (answer, error) {
	comment, err := c.pathComment()
	if err != nil {
		return answer{}, err
	}
	var in struct {
		Content string `json:"content"`
	}
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if !slices.Contains(reactionContents(), in.Content) {
		return answer{}, invalid("Reaction", "content", "invalid", "")
	}
	status, bot := http.StatusOK, c.bot()
	i := slices.IndexFunc(comment.Reactions, func(r Reaction) bool { return r.User == bot.Login && r.Content == in.Content })
	if i < 0 {
		status, i = http.StatusCreated, len(comment.Reactions)
		comment.Reactions = append(comment.Reactions, Reaction{ID: c.s.next(), User: bot.Login, Content: in.Content})
	}
	r := comment.Reactions[i]
	return answer{status: status, body: object{
		"id": r.ID, "node_id": nodeID("REA", r.ID), "user": c.s.userJSON(bot), "content": r.Content, "created_at": stamp(c.s.now()),
	}}, nil
}
