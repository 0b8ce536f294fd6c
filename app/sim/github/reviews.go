package github

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// review is what a person said of a pull request as a whole: a text, comments on lines, or both. It stays; its text
// can be changed.
type review struct {
	id        int64
	pull      *pullRequest
	user      *User
	body      string
	commit    string
	submitted time.Time
	updated   time.Time
	comments  []*reviewComment
}

// reviewComment is a review's comment on a line of a file.
type reviewComment struct {
	LineComment

	id      int64
	review  *review
	hunk    string
	created time.Time
	updated time.Time
}

// LineComment is what a person says of a line of a file, as the pull request's head has it.
type LineComment struct {
	Path string
	Line int
	Body string
}

// Review submits a review of a pull request as a person, and gives its id and those of its comments. A single
// comment on a line is a review without a text of its own, as at GitHub.
func (s *Server) Review(repo string, number int, user, body string, lines ...LineComment) (id int64, comments []int64, err error) {
	err = s.withPull(repo, number, func(p *pullRequest) error {
		v := &review{id: s.next(), pull: p, user: s.user(user), body: body, commit: p.headSHA, submitted: s.now(), updated: s.now()}
		p.reviews = append(p.reviews, v)
		s.emitReview("submitted", v, v.user, object{})
		for _, line := range lines {
			c := &reviewComment{LineComment: line, id: s.next(), review: v, hunk: s.hunk(p, line.Path), created: s.now(), updated: s.now()}
			v.comments = append(v.comments, c)
			s.emitReviewComment("created", c, v.user, object{})
			comments = append(comments, c.id)
		}
		id = v.id
		return nil
	})
	return id, comments, err
}

// EditReview changes the text of a review as a person.
func (s *Server) EditReview(repo string, number int, id int64, user, body string) error {
	return s.withPull(repo, number, func(p *pullRequest) error {
		i := slices.IndexFunc(p.reviews, func(v *review) bool { return v.id == id })
		if i < 0 {
			return fmt.Errorf("review %d: %w", id, ErrNotFound)
		}
		v := p.reviews[i]
		changes := object{"body": object{"from": v.body}}
		v.body, v.updated = body, s.now()
		s.emitReview("edited", v, s.user(user), object{"changes": changes})
		return nil
	})
}

// EditReviewComment changes a comment on a line as a person.
func (s *Server) EditReviewComment(repo string, number int, id int64, user, body string) error {
	return s.withReviewComment(repo, number, id, func(c *reviewComment) {
		changes := object{"body": object{"from": c.Body}}
		c.Body, c.updated = body, s.now()
		s.emitReviewComment("edited", c, s.user(user), object{"changes": changes})
	})
}

// DeleteReviewComment deletes a comment on a line as a person.
func (s *Server) DeleteReviewComment(repo string, number int, id int64, user string) error {
	return s.withReviewComment(repo, number, id, func(c *reviewComment) {
		c.review.comments = slices.DeleteFunc(c.review.comments, func(other *reviewComment) bool { return other == c })
		s.emitReviewComment("deleted", c, s.user(user), object{})
	})
}

func (s *Server) withReviewComment(repo string, number int, id int64, change func(c *reviewComment)) error {
	return s.withPull(repo, number, func(p *pullRequest) error {
		for _, c := range p.reviewComments() {
			if c.id == id {
				change(c)
				return nil
			}
		}
		return fmt.Errorf("review comment %d: %w", id, ErrNotFound)
	})
}

// reviewComments are those of all reviews, oldest first.
func (p *pullRequest) reviewComments() (list []*reviewComment) {
	for _, v := range p.reviews {
		list = append(list, v.comments...)
	}
	return list
}

// hunk is the first one of a file's difference; it begins where a hunk always does.
func (s *Server) hunk(p *pullRequest, path string) string {
	diff, err := s.git.run(context.Background(), p.repo.dir, nil, "diff", "--no-color", "--no-ext-diff", p.baseSHA+"..."+p.headSHA, "--", path)
	if _, hunk, ok := strings.Cut(string(diff), "\n@@ "); ok && err == nil {
		hunk, _, _ = strings.Cut(hunk, "\n@@ ")
		return "@@ " + strings.TrimRight(hunk, "\n")
	}
	return "@@ -0,0 +1 @@"
}

func (s *Server) emitReview(action string, v *review, by *User, fields object) {
	fields["pull_request"], fields["review"] = s.simplePullJSON(v.pull), s.reviewJSON(v)
	fields["review"].(object)["state"] = "commented" // lists say it in capitals
	s.emitRepo("pull_request_review", action, v.pull.repo, by, fields)
}

func (s *Server) emitReviewComment(action string, c *reviewComment, by *User, fields object) {
	fields["pull_request"], fields["comment"] = s.simplePullJSON(c.review.pull), s.reviewCommentJSON(c)
	s.emitRepo("pull_request_review_comment", action, c.review.pull.repo, by, fields)
}

func (s *Server) reviewJSON(v *review) object {
	pull, page := s.apiURL("/repos/%s/pulls/%d", v.pull.repo.fullName(), v.pull.number), fmt.Sprintf("%s#pullrequestreview-%d", s.pullPage(v.pull), v.id)
	return object{
		"id": v.id, "node_id": nodeID("PRR", v.id), "user": s.userJSON(v.user), "body": v.body, "state": "COMMENTED", "html_url": page, "pull_request_url": pull,
		"author_association": v.pull.repo.association(v.user), "submitted_at": stamp(v.submitted), "updated_at": stamp(v.updated), "commit_id": v.commit,
		"_links": object{"html": object{"href": page}, "pull_request": object{"href": pull}},
	}
}

func (s *Server) reviewCommentJSON(c *reviewComment) object {
	v := c.review
	api := s.apiURL("/repos/%s/pulls", v.pull.repo.fullName())
	self, pull, page := fmt.Sprintf("%s/comments/%d", api, c.id), fmt.Sprintf("%s/%d", api, v.pull.number), fmt.Sprintf("%s#discussion_r%d", s.pullPage(v.pull), c.id)
	return object{
		"url": self, "id": c.id, "node_id": nodeID("PRRC", c.id), "pull_request_review_id": v.id, "diff_hunk": c.hunk, "path": c.Path, "position": c.Line,
		"original_position": c.Line, "commit_id": v.commit, "original_commit_id": v.commit, "user": s.userJSON(v.user), "body": c.Body,
		"created_at": stamp(c.created), "updated_at": stamp(c.updated), "html_url": page, "pull_request_url": pull,
		"author_association": v.pull.repo.association(v.user), "start_line": nil, "original_start_line": nil, "start_side": nil, "line": c.Line,
		"original_line": c.Line, "side": "RIGHT", "subject_type": "line", "reactions": reactionsJSON(self+"/reactions", nil),
		"_links": object{"self": object{"href": self}, "html": object{"href": page}, "pull_request": object{"href": pull}},
	}
}

func (c *call) listReviews() (answer, error) {
	p, err := c.pathPull("pull_number")
	if err != nil {
		return answer{}, err
	}
	list := []object{}
	for _, v := range p.reviews {
		list = append(list, c.s.reviewJSON(v))
	}
	return c.page(list)
}

func (c *call) listReviewComments() (answer, error) {
	p, err := c.pathPull("pull_number")
	if err != nil {
		return answer{}, err
	}
	since, _ := time.Parse(time.RFC3339, c.r.URL.Query().Get("since"))
	list := []object{}
	for _, comment := range p.reviewComments() {
		if !comment.updated.Before(since) {
			list = append(list, c.s.reviewCommentJSON(comment))
		}
	}
	return c.page(list)
}
