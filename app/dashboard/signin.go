package dashboard

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/flaresmith/flaresmith/app/preview"
)

// CallbackPath is where GitHub leads people back to after they signed in, below the server's address.
const CallbackPath = "/auth/github/callback"

const (
	signInPath  = "/auth/github"
	signOutPath = "/auth/sign-out"

	exchangeTimeout = 20 * time.Second
	// Exchanges of codes are calls to GitHub that anybody can cause.
	exchangesPerSecond, exchangesAtOnce = 2, 30
	maxCode, maxForm                    = 256, 4 << 10
)

// loginPattern is what a login that is put into a cookie looks like.
var loginPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// Callback is where GitHub leads people back to after they signed in.
func (l *Links) Callback() string { return l.base.JoinPath(CallbackPath).String() }

// signInAt is where a person who wants to see the project begins to sign in. It is absolute: the
// cookie must be set at the host that the callback leads to.
func (l *Links) signInAt(projectID string) string {
	return l.base.JoinPath(signInPath).String() + "?" + url.Values{"project": {projectID}}.Encode()
}

// pagePath is where a project's environments are at this host.
func pagePath(projectID string) string { return "/projects/" + projectID + "/environments" }

// begun is a sign-in that was begun in this browser.
type begun struct{ state, verifier, project string }

// begin leads to GitHub and lets the browser keep what proves that it was the one that asked. The
// server keeps nothing.
func (d *Dashboard) begin(c *gin.Context) {
	harden(c.Writer.Header())
	project := c.Query("project")
	if !projectPattern.MatchString(project) {
		d.notice(c, http.StatusBadRequest, Notice{Title: "There is nothing to sign in to", Text: "Open the status page that you want to see, and sign in from there."})
		return
	}
	b := begun{state: rand.Text(), verifier: rand.Text() + rand.Text(), project: project}
	until := d.Now().Add(signInLife)
	sealed := d.Links.seal(purposeSignIn, strings.Join([]string{b.state, b.verifier, b.project}, "."), until)
	http.SetCookie(c.Writer, d.Links.cookie(signInName, sealed, until))
	c.Redirect(http.StatusSeeOther, d.SignIn.Address(b.state, b.verifier))
}

// begunHere finds the sign-in that the state belongs to, in this browser's cookies.
func (d *Dashboard) begunHere(r *http.Request, state string) (begun, bool) {
	for _, cookie := range r.CookiesNamed(d.Links.cookieName(signInName)) {
		text, _, ok := d.Links.unseal(purposeSignIn, cookie.Value)
		parts := strings.Split(text, ".")
		if ok && len(parts) == 3 && subtle.ConstantTimeCompare([]byte(parts[0]), []byte(state)) == 1 && projectPattern.MatchString(parts[2]) {
			return begun{parts[0], parts[1], parts[2]}, true
		}
	}
	return begun{}, false
}

// callback is where GitHub sends a person back to. It leads to the page from which the sign-in
// began and nowhere else.
func (d *Dashboard) callback(c *gin.Context) {
	harden(c.Writer.Header())
	b, ok := d.begunHere(c.Request, c.Query("state"))
	if !ok {
		d.notice(c, http.StatusForbidden, Notice{Title: "This sign-in can't be finished", Text: "It was begun in another browser, or too long ago.",
			Hint: "Open the status page that you want to see, and sign in from there."})
		return
	}
	d.Links.drop(c, signInName)
	again := &Action{Text: "Try again", URL: d.Links.signInAt(b.project)}
	code := c.Query("code")
	switch {
	case code == "" || len(code) > maxCode:
		d.notice(c, http.StatusForbidden, Notice{Title: "You did not sign in", Text: "GitHub did not say who you are.", Action: again})
		return
	case !d.exchanges.Allow():
		d.notice(c, http.StatusTooManyRequests, Notice{Title: "Too many people sign in", Text: "Wait a moment.", Action: again})
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), exchangeTimeout)
	defer cancel()
	person, err := d.SignIn.Person(ctx, code, b.verifier)
	if err == nil && !loginPattern.MatchString(person.Login) {
		err = errors.New("sign-in: GitHub answered with an unusual login")
	}
	if err != nil {
		d.failSignIn(c, err, again)
		return
	}
	// Whatever session the browser had before is over.
	d.Links.end(c.Request)
	until := d.Now().Add(sessionLife)
	http.SetCookie(c.Writer, d.Links.cookie(sessionName, d.Links.session(person, until), until))
	c.Redirect(http.StatusSeeOther, pagePath(b.project))
}

func (d *Dashboard) failSignIn(c *gin.Context, err error, again *Action) {
	n := Notice{Title: "You are not signed in", Action: again}
	var status int
	switch {
	case c.Request.Context().Err() != nil:
		return // nobody listens any more
	case errors.Is(err, preview.ErrNotFound):
		status, n.Text = http.StatusForbidden, "What GitHub gave your browser works once, and only for some minutes."
	case preview.Classify(err) == preview.ClassTransient:
		status, n.Text = http.StatusServiceUnavailable, "GitHub does not answer now."
	default:
		status, n.Text = http.StatusBadGateway, "GitHub did not let this server know who you are. Its operator finds the reason in the log."
	}
	if status != http.StatusForbidden {
		d.Logger.WarnContext(c.Request.Context(), "sign-in", slog.Any("error", err))
	}
	d.notice(c, status, n)
}

// signOut ends the session. Pages of other hosts, previews among them, can't do that for a person.
func (d *Dashboard) signOut(c *gin.Context) {
	harden(c.Writer.Header())
	if err := http.NewCrossOriginProtection().Check(c.Request); err != nil {
		d.notice(c, http.StatusForbidden, Notice{Title: "You are still signed in", Text: "Another site asked to sign you out."})
		return
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	d.Links.end(c.Request)
	d.Links.drop(c, sessionName)
	if project := c.PostForm("project"); projectPattern.MatchString(project) {
		c.Redirect(http.StatusSeeOther, pagePath(project))
		return
	}
	d.notice(c, http.StatusOK, Notice{Title: "You are signed out"})
}
