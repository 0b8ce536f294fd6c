package workflow

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sethvargo/go-githubactions"
)

// Event is what started the workflow.
type Event struct {
	Name          string // GitHub's, as "pull_request"
	DefaultBranch string
	Branch        string // that a push went to, or that runs; "" for a tag
	Base, Head    string // the commits between which the event's changes are; Base is "" if nothing says it
	Tag           string // the object that a tag was pushed for, which is its head or an annotated tag of it; else ""
	Forced        bool   // a push that replaced history
	Pull          *Pull
	Texts         []Text // that people wrote: the pull request's, issue's, comment's or review's
	// Restricted says why the run's token can do less than usual; mostly it is "".
	Restricted string
}

// Pull is the event's pull request.
type Pull struct {
	Number  int
	Commits int // how many it has
	HeadRef string
	BaseRef string
	Fork    bool
}

// Text is something written at GitHub, which is in no file.
type Text struct {
	What string // as "the pull request's title and text"
	Body string
}

// TextOnly reports whether the event brought a text and no commits.
func (e Event) TextOnly() bool { return len(e.Texts) > 0 && e.Base == "" }

// payload is the part of GitHub's events that is read.
type payload struct {
	Action      string `json:"action"`
	Before      string `json:"before"`
	After       string `json:"after"`
	Forced      bool   `json:"forced"`
	PullRequest *struct {
		Number  int    `json:"number"`
		Commits int    `json:"commits"`
		Title   string `json:"title"`
		Body    string `json:"body"`
		Head    side   `json:"head"`
		Base    side   `json:"base"`
	} `json:"pull_request"`
	Issue      *written `json:"issue"`
	Comment    *written `json:"comment"`
	Review     *written `json:"review"`
	Discussion *written `json:"discussion"`
	MergeGroup *struct {
		BaseSHA string `json:"base_sha"`
		HeadSHA string `json:"head_sha"`
	} `json:"merge_group"`
	Repository struct {
		DefaultBranch string `json:"default_branch"`
	} `json:"repository"`
}

// written is what somebody wrote.
type written struct {
	Title string `json:"title"`
	Body  string `json:"body"`
}

type side struct {
	SHA  string `json:"sha"`
	Ref  string `json:"ref"`
	Repo *struct {
		FullName string `json:"full_name"`
	} `json:"repo"` // null if it was deleted
}

func (s side) name() string {
	if s.Repo == nil {
		return ""
	}
	return s.Repo.FullName
}

func readEvent(around *githubactions.GitHubContext) (Event, error) {
	text, err := json.Marshal(around.Event)
	if err != nil {
		return Event{}, err
	}
	var p payload
	if err := json.Unmarshal(text, &p); err != nil {
		return Event{}, fmt.Errorf("the event's payload: %w", err)
	}
	e := Event{Name: around.EventName, DefaultBranch: p.Repository.DefaultBranch, Head: around.SHA, Forced: p.Forced}
	e.Branch, _ = strings.CutPrefix(around.Ref, "refs/heads/")
	if e.Branch == around.Ref {
		e.Branch = ""
	}
	switch {
	case p.PullRequest != nil:
		pr := p.PullRequest
		e.Base, e.Head = pr.Base.SHA, pr.Head.SHA
		e.Texts = append(e.Texts, Text{"the pull request's title and text", pr.Title + "\n" + pr.Body})
		e.Pull = &Pull{Number: pr.Number, Commits: pr.Commits, HeadRef: pr.Head.Ref, BaseRef: pr.Base.Ref,
			Fork: pr.Head.name() != pr.Base.name()}
	case p.MergeGroup != nil:
		e.Base, e.Head = p.MergeGroup.BaseSHA, p.MergeGroup.HeadSHA
	case e.Name == "push":
		if strings.Trim(p.Before, "0") != "" { // zeros: the branch is new
			e.Base = p.Before
		}
		switch {
		case strings.Trim(p.After, "0") == "":
		case strings.HasPrefix(around.Ref, "refs/tags/"):
			e.Tag = p.After
		default:
			e.Head = p.After
		}
	}
	if p.Action == "deleted" { // nobody can read it any more
		p.Comment = nil
	}
	for _, text := range []struct {
		what string
		*written
	}{{"the issue's title and text", p.Issue}, {"the comment", p.Comment}, {"the review", p.Review}, {"the discussion's title and text", p.Discussion}} {
		if text.written != nil {
			e.Texts = append(e.Texts, Text{text.what, text.Title + "\n" + text.Body})
		}
	}
	switch {
	case e.Pull != nil && e.Pull.Fork && e.Name != "pull_request_target":
		e.Restricted = "the pull request is from a fork"
	case around.Actor == "dependabot[bot]" && (e.Name == "push" || strings.HasPrefix(e.Name, "pull_request")):
		e.Restricted = "Dependabot started the run"
	}
	return e, nil
}
