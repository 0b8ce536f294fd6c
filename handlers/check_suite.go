package handlers

import (
	"context"
	"fmt"
	"regexp"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

var environmentID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// CheckSuite handles "check_suite": "Re-run all" asks for a new check run on each pull request of
// the commit. Suites that GitHub makes for each push are of no interest.
type CheckSuite struct {
	store checkStore
	appID int64
}

// Handles implements githubapp.EventHandler.
func (CheckSuite) Handles() []string { return []string{"check_suite"} }

// Handle implements githubapp.EventHandler.
func (h CheckSuite) Handle(ctx context.Context, event, delivery string, payload []byte) error {
	e, err := decode[gh.CheckSuiteEvent](event, payload)
	if err != nil {
		return err
	}
	suite := e.GetCheckSuite()
	if e.GetAction() != "rerequested" || suite.GetApp().GetID() != h.appID {
		return nil
	}
	p, ok, err := project(ctx, h.store, e.GetInstallation(), e.GetRepo())
	if err != nil || !ok {
		return err
	}
	if sha := suite.GetHeadSHA(); fullSHA.MatchString(sha) {
		if err := h.store.WantScan(ctx, preview.Scan{ProjectID: p.ID, SHA: sha}); err != nil {
			return err
		}
	}
	for _, pr := range numbers(p, suite.PullRequests) {
		key := fmt.Sprintf("suite:%d:%d:rerequested:%d", suite.GetID(), pr, suite.GetUpdatedAt().Unix())
		if err := rerequest(ctx, h.store, p, pr, key, e.GetSender()); err != nil {
			return err
		}
		if err := h.store.RenewSpecOnce(ctx, renewal(p, pr, key+":spec", e.GetSender())); err != nil {
			return err
		}
	}
	return nil
}

// rerequest wants a new check run, once for each key.
func rerequest(ctx context.Context, s checkStore, p preview.Project, pr int, key string, sender *gh.User) error {
	w := wish(p, pr)
	w.NewCheck = true
	return s.WantOnce(ctx, renewal(p, pr, key, sender), w)
}

// renewal is the record of somebody's wish for a new check run.
func renewal(p preview.Project, pr int, key string, sender *gh.User) preview.Command {
	return preview.Command{
		Key:       key,
		ProjectID: p.ID,
		PR:        pr,
		Verb:      verbRerequested,
		Actor:     sender.GetLogin(),
		ActorID:   sender.GetID(),
		CreatedAt: time.Now(),
	}
}

// numbers are the pull requests into the project's repository. GitHub lists those into a
// repository's forks too.
func numbers(p preview.Project, list []*gh.PullRequest) []int {
	var found []int
	for _, pr := range list {
		if base := pr.GetBase().GetRepo().GetID(); pr.GetNumber() > 0 && (base == 0 || base == p.RepoID) {
			found = append(found, pr.GetNumber())
		}
	}
	return found
}
