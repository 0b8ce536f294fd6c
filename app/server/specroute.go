package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/specsync"
)

const (
	specPath      = "/specs/apply"
	specTimeout   = 2 * time.Minute
	maxSpecOrder  = 16 << 10 // bytes of a request's body
	maxUserToken  = 512
	maxBranchName = 255
	// Tokens that nobody vouched for yet are asked about so often, for all callers together.
	tokensPerSecond, tokensAtOnce = 5, 20
	// Each person may ask so often, whether it is a dry run or not: what costs is the comparison.
	specEvery, specAtOnce = 5 * time.Second, 24
)

// specOrder is the body of POST /specs/apply.
type specOrder struct {
	ProjectID  string `json:"projectId"`  // or
	Repository string `json:"repository"` // owner/name
	Branch     string `json:"branch"`
	HeadSHA    string `json:"headSha"` // where the branch must be; a dry run may leave it out
	DryRun     bool   `json:"dryRun"`
}

// specAPI applies specs for people: those who are signed in, and programs with a token of the App's user flow.
type specAPI struct {
	specs interface {
		Apply(ctx context.Context, r specsync.Request) (specsync.Outcome, error)
	}
	store interface {
		Project(ctx context.Context, id string) (preview.Project, error)
		ProjectByFullName(ctx context.Context, owner, name string) (preview.Project, error)
		Audit(ctx context.Context, e preview.AuditEntry) error
	}
	standing interface {
		Standing(ctx context.Context, p preview.Project, login string) (preview.Standing, error)
	}
	people func(*http.Request) []preview.Person // who are signed in
	token  interface {                          // nil: no App's user flow
		TokenPerson(ctx context.Context, token string) (preview.Person, error)
	}
	tokens *rate.Limiter
	asked  *personLimit
	logger *slog.Logger
	failed func(code, severity string)
}

// specRefusal is a problem with its status.
type specRefusal struct {
	problem
	status int
	after  time.Duration
}

// apply handles POST /specs/apply.
func (a *specAPI) apply(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), specTimeout)
	defer cancel()
	id := uuid.NewString()
	outcome, refused := a.answer(ctx, c.Request, c.Writer, id)
	if refused == nil {
		c.Header("Cache-Control", "no-store")
		c.Header("X-Content-Type-Options", "nosniff")
		c.Header("X-Request-Id", id)
		c.JSON(http.StatusOK, outcome)
		return
	}
	refused.RequestID = id
	a.failed(refused.Code, refused.Severity)
	if refused.after > 0 {
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(refused.after.Seconds()))))
	}
	if refused.status == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", "Bearer")
	}
	refused.write(c.Writer, c.Request, refused.status)
}

// answer checks in this order: who asks, how often, what is asked for, whether they may. Whoever may not even see the repository
// is told that there is none.
func (a *specAPI) answer(ctx context.Context, r *http.Request, w http.ResponseWriter, id string) (specsync.Outcome, *specRefusal) {
	people, refused := a.who(ctx, r)
	if refused != nil {
		return specsync.Outcome{}, refused
	}
	if wait := a.asked.take(people[0].ID, time.Now()); wait > 0 {
		limited := refuse(http.StatusTooManyRequests, "RATE_LIMIT_USER", "You ask too often.", "Try again after the time in Retry-After.")
		limited.RetryPolicy, limited.after = retrySafe, wait
		return specsync.Outcome{}, limited
	}
	order, refused := readSpecOrder(r, w)
	if refused != nil {
		return specsync.Outcome{}, refused
	}
	project, err := a.project(ctx, order)
	if err != nil {
		return specsync.Outcome{}, a.trouble(ctx, id, err, specNotFound())
	}
	person, refused := a.allowed(ctx, id, project, people, order.DryRun)
	if refused != nil {
		return specsync.Outcome{}, refused
	}
	outcome, err := a.specs.Apply(ctx, specsync.Request{Project: project, Branch: order.Branch, HeadSHA: order.HeadSHA, DryRun: order.DryRun, Actor: person.Login})
	if err != nil {
		return outcome, a.refusal(ctx, id, outcome, err)
	}
	if outcome.Commit != "" {
		err := a.store.Audit(ctx, preview.AuditEntry{ProjectID: project.ID, Actor: person.Login, ActorID: person.ID, Operation: "spec.apply",
			Subject: order.Branch, Detail: map[string]string{"base": order.HeadSHA, "commit": outcome.Commit}})
		if err != nil { // it is committed, and asking again finds that
			return outcome, a.trouble(ctx, id, err, nil)
		}
	}
	return outcome, nil
}

// who tells who asks. A browser must not be led here by another site.
func (a *specAPI) who(ctx context.Context, r *http.Request) ([]preview.Person, *specRefusal) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return nil, refuse(http.StatusForbidden, "AUTH_CROSS_ORIGIN", "Another site asked for this.", "Ask from the server's own pages, or with a token.")
	}
	unknown := refuse(http.StatusUnauthorized, "AUTH_REQUIRED", "It is not known who asks.",
		"Sign in at the status page, or send a token of the App's user flow as Authorization: Bearer.")
	scheme, token, given := strings.Cut(r.Header.Get("Authorization"), " ")
	if !given {
		if people := a.people(r); len(people) > 0 {
			return people, nil
		}
		return nil, unknown
	}
	if !strings.EqualFold(scheme, "bearer") || token == "" || len(token) > maxUserToken || a.token == nil {
		return nil, unknown
	}
	if !a.tokens.Allow() {
		limited := refuse(http.StatusTooManyRequests, "RATE_LIMIT_TOKENS", "Too many tokens are asked about at once.", "Try again in a second.")
		limited.RetryPolicy, limited.after = retrySafe, time.Second
		return nil, limited
	}
	person, err := a.token.TokenPerson(ctx, token)
	switch {
	case err == nil:
		return []preview.Person{person}, nil
	case errors.Is(err, preview.ErrNotFound):
		return nil, unknown
	}
	return nil, a.trouble(ctx, "", err, nil)
}

var specSHA = regexp.MustCompile(`^[0-9a-f]{40}$`)

func readSpecOrder(r *http.Request, w http.ResponseWriter) (specOrder, *specRefusal) {
	var order specOrder
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return order, refuse(http.StatusUnsupportedMediaType, "SPEC_REQUEST_MEDIA_TYPE", "The body must be JSON.", "Send Content-Type: application/json.")
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSpecOrder))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&order)
	if err == nil && !errors.Is(decoder.Decode(&struct{}{}), io.EOF) {
		err = errors.New("more than one value")
	}
	var large *http.MaxBytesError
	wrong := func(message string) (specOrder, *specRefusal) {
		return order, refuse(http.StatusBadRequest, "SPEC_REQUEST_INVALID", message, `Send {"repository": "owner/name", "branch": "…", "headSha": "<40 characters>", "dryRun": false}.`)
	}
	switch {
	case errors.As(err, &large):
		return order, refuse(http.StatusRequestEntityTooLarge, "SPEC_REQUEST_TOO_LARGE", "The body is too large.", "It needs no more than some hundred bytes.")
	case err != nil:
		return wrong("The body is not the JSON object that is expected.")
	case (order.ProjectID == "") == (order.Repository == ""):
		return wrong("Either projectId or repository is needed.")
	case order.Branch == "" || len(order.Branch) > maxBranchName:
		return wrong("branch is missing, or too long.")
	case order.HeadSHA == "" && !order.DryRun:
		return wrong("headSha is needed to apply: the commit that the branch is at.")
	case order.HeadSHA != "" && !specSHA.MatchString(order.HeadSHA):
		return wrong("headSha is not a full commit id.")
	}
	return order, nil
}

func (a *specAPI) project(ctx context.Context, o specOrder) (preview.Project, error) {
	if o.Repository != "" {
		owner, name, ok := strings.Cut(o.Repository, "/")
		if !ok || strings.Contains(name, "/") {
			return preview.Project{}, preview.ErrNotFound
		}
		return a.store.ProjectByFullName(ctx, owner, name)
	}
	id, err := uuid.Parse(o.ProjectID)
	if err != nil {
		return preview.Project{}, preview.ErrNotFound
	}
	return a.store.Project(ctx, id.String())
}

// allowed asks GitHub what these people are on the repository at this moment.
func (a *specAPI) allowed(ctx context.Context, id string, p preview.Project, people []preview.Person, dryRun bool) (preview.Person, *specRefusal) {
	sees := false
	for _, person := range people {
		standing, err := a.standing.Standing(ctx, p, person.Login)
		if err != nil {
			return person, a.trouble(ctx, id, err, specNotFound())
		}
		if standing.UserID != person.ID || !standing.Role.AtLeast(preview.RoleViewer) {
			continue
		}
		if standing.Role.AtLeast(preview.RoleContributor) || dryRun && !standing.Everybody {
			return person, nil
		}
		sees = true
	}
	if !sees {
		return preview.Person{}, specNotFound()
	}
	return preview.Person{}, refuse(http.StatusForbidden, "AUTH_ROLE_TOO_LOW", "Your role on the repository does not allow this.",
		"Applying needs the role Contributor (write); a dry run on a public repository needs triage.")
}

// refusal words what Apply answered.
func (a *specAPI) refusal(ctx context.Context, id string, o specsync.Outcome, err error) *specRefusal {
	var r *specRefusal
	switch {
	case errors.Is(err, specsync.ErrConflicts):
		r = refuse(http.StatusConflict, "SPEC_DRIFT_CONFLICT", "Files are in the way, or specs contradict themselves: nothing was written.", "Resolve the conflicts; details.report lists them.")
		r.Details = map[string]any{"report": o}
	case errors.Is(err, specsync.ErrMoved):
		r = refuse(http.StatusConflict, "SPEC_HEAD_MOVED", "The branch is at another commit.", "Look at it, and ask again with that one.")
	case errors.Is(err, specsync.ErrInvalid):
		r = refuse(http.StatusUnprocessableEntity, "SPEC_INVALID", "Nothing can be generated from these specs.", "Repair what details.problems lists.")
		r.Details = map[string]any{"problems": o.Problems[:min(len(o.Problems), 200)]}
	case errors.Is(err, specsync.ErrNoSpecs):
		r = refuse(http.StatusUnprocessableEntity, "SPEC_MISSING", "The branch has no specs.", "Add a folder specs.")
	case errors.Is(err, specsync.ErrDefaultBranch):
		r = refuse(http.StatusUnprocessableEntity, "SPEC_DEFAULT_BRANCH", "Nothing is committed to the default branch.", "Apply on a branch, and open a pull request.")
	case errors.Is(err, preview.ErrNotPermitted):
		r = refuse(http.StatusForbidden, "INTEGRATION_NOT_PERMITTED_GITHUB", "GitHub does not let the App commit to the branch.", "The App needs the permission Contents: read and write, and no rule of the branch may forbid it.")
	default:
		return a.trouble(ctx, id, err, refuse(http.StatusNotFound, "SPEC_BRANCH_NOT_FOUND", "There is no such branch, or the repository is not set up.", "Push the branch, and commit .github/flaresmith.yml to the default branch."))
	}
	r.Context = map[string]any{"branch": o.Branch, "headSha": o.HeadSHA}
	return r
}

// trouble words an error that says nothing to who asks; its cause is for the log. missing is for things that are not
// there.
func (a *specAPI) trouble(ctx context.Context, id string, err error, missing *specRefusal) *specRefusal {
	if missing != nil && preview.Classify(err) == preview.ClassNotFound {
		return missing
	}
	a.logger.WarnContext(ctx, "apply specs", slog.String("requestId", id), slog.Any("error", err))
	var transient *preview.TransientError
	if errors.As(err, &transient) || ctx.Err() != nil {
		r := refuse(http.StatusServiceUnavailable, "INTEGRATION_UNAVAILABLE_GITHUB", "GitHub or the database does not answer now.", "Ask again with the same request: what was done is found.")
		r.RetryPolicy, r.Severity, r.after = retrySafe, "error", time.Second
		if transient != nil {
			r.after = max(transient.After, time.Second)
		}
		return r
	}
	r := refuse(http.StatusInternalServerError, "INTERNAL_ERROR", "Something went wrong in the server.", "Tell the operator the request's id: the log has the cause under it.")
	r.Severity = "critical"
	return r
}

func specNotFound() *specRefusal {
	return refuse(http.StatusNotFound, "SPEC_PROJECT_NOT_FOUND", "There is no such repository for you.", "The App must be installed on it, and you must be able to see it.")
}

func refuse(status int, code, message, hint string) *specRefusal {
	return &specRefusal{status: status, problem: problem{Code: code, Message: message, Severity: "warn", RetryPolicy: retryNone, Hint: hint}}
}
