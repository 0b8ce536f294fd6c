package handlers

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

type checkStore interface {
	commandStore
	// RenewSpecOnce asks for a new check of a pull request's specs if the command's key is new, and records the
	// command as done.
	RenewSpecOnce(ctx context.Context, c preview.Command) error
	scans
	// WantOnce wants the environment if the command's key is new, and records the command as done.
	WantOnce(ctx context.Context, c preview.Command, w preview.Wish) error
	// Environment is preview.ErrNotFound when there is none of that id.
	Environment(ctx context.Context, id string) (preview.Environment, error)
	// ReceivedAt is when the delivery came, or would have come if it had not got lost.
	ReceivedAt(ctx context.Context, deliveryID string) (time.Time, error)
}

// verbRerequested is what is recorded for "Re-run": it is done by being wanted.
const verbRerequested preview.Verb = "rerequested"

// specCheckID is the external id of our check run about specs: it names its pull request.
var specCheckID = regexp.MustCompile(`^spec:([1-9][0-9]{0,8})$`)

// CheckRun handles "check_run": the buttons of our own check runs, and their "Re-run".
type CheckRun struct {
	store checkStore
	appID int64
}

// Handles implements githubapp.EventHandler.
func (CheckRun) Handles() []string { return []string{"check_run"} }

// Handle implements githubapp.EventHandler.
func (h CheckRun) Handle(ctx context.Context, event, deliveryID string, payload []byte) error {
	if ours, err := h.ours(event, payload); err != nil || !ours {
		return err
	}
	e, err := decode[gh.CheckRunEvent](event, payload)
	if err != nil {
		return err
	}
	run := e.GetCheckRun()
	if run.GetID() <= 0 {
		return invalid(event)
	}
	p, ok, err := project(ctx, h.store, e.GetInstallation(), e.GetRepo())
	if err != nil || !ok {
		return err
	}
	if run.GetName() == SecretsCheckName {
		if e.GetAction() != "rerequested" || !fullSHA.MatchString(run.GetHeadSHA()) {
			return nil
		}
		return h.store.WantScan(ctx, preview.Scan{ProjectID: p.ID, SHA: run.GetHeadSHA()})
	}
	pr, err := h.pullRequest(ctx, p, run)
	if err != nil || pr == 0 {
		return err
	}
	switch {
	case e.GetAction() == "rerequested" && run.GetName() == SpecCheckName:
		return h.store.RenewSpecOnce(ctx, renewal(p, pr, fmt.Sprintf("check:%d:rerequested", run.GetID()), e.GetSender()))
	case e.GetAction() == "rerequested":
		return rerequest(ctx, h.store, p, pr, fmt.Sprintf("check:%d:rerequested", run.GetID()), e.GetSender())
	}
	return h.press(ctx, p, pr, deliveryID, &e)
}

// ours looks at few fields first: every check run of every App comes by here, in shapes that go-github
// does not always read.
func (h CheckRun) ours(event string, payload []byte) (bool, error) {
	type head struct {
		Action   string `json:"action"`
		CheckRun struct {
			Name string `json:"name"`
			App  struct {
				ID int64 `json:"id"`
			} `json:"app"`
		} `json:"check_run"`
	}
	e, err := decode[head](event, payload)
	return (e.CheckRun.Name == CheckName || e.CheckRun.Name == SpecCheckName || e.CheckRun.Name == SecretsCheckName) && e.CheckRun.App.ID == h.appID &&
		(e.Action == "requested_action" || e.Action == "rerequested"), err
}

// pullRequest is the number of the pull request that the check run is about: the one whose
// environment it names, or that it names itself, since a commit can be the head of two. 0: none.
func (h CheckRun) pullRequest(ctx context.Context, p preview.Project, run *gh.CheckRun) (int, error) {
	if id := run.GetExternalID(); environmentID.MatchString(id) {
		e, err := h.store.Environment(ctx, id)
		switch {
		case preview.Classify(err) == preview.ClassNotFound:
		case err != nil:
			return 0, err
		case e.ProjectID == p.ID && e.Kind == preview.EnvironmentPreview:
			return e.PR, nil
		}
	}
	if m := specCheckID.FindStringSubmatch(run.GetExternalID()); m != nil {
		return strconv.Atoi(m[1])
	}
	for _, pr := range numbers(p, run.PullRequests) {
		return pr, nil
	}
	return 0, nil
}

// press records a button as the command that its identifier names.
func (h CheckRun) press(ctx context.Context, p preview.Project, pr int, deliveryID string, e *gh.CheckRunEvent) error {
	run, identifier, sender := e.GetCheckRun(), "", e.GetSender()
	if e.RequestedAction != nil {
		identifier = e.RequestedAction.Identifier
	}
	verb, argument, ok := ParseCommand(commandPrefix + " " + identifier)
	if !ok || verb == preview.VerbUnknown || identifier == "" || sender.GetType() == "Bot" {
		return nil // not a button of ours
	}
	if verb == preview.VerbApprove { // exactly the commit that the button stands on
		argument = run.GetHeadSHA()
	}
	at, seconds := run.GetCompletedAt().Time, int64(0)
	if !at.IsZero() {
		seconds = at.Unix()
	} else { // the event of a run that is not complete says nothing newer than its start
		var err error
		if at, err = h.store.ReceivedAt(ctx, deliveryID); err != nil {
			return err
		}
	}
	command := preview.Command{
		Key:       fmt.Sprintf("check:%d:%s:%d:%d", run.GetID(), verb, sender.GetID(), seconds),
		ProjectID: p.ID,
		PR:        pr,
		Verb:      verb,
		Argument:  argument,
		Actor:     sender.GetLogin(),
		ActorID:   sender.GetID(),
		CreatedAt: at,
	}
	if verb == preview.VerbSpec {
		return h.store.SpecCommand(ctx, command)
	}
	return h.store.Command(ctx, command, wish(p, pr))
}
