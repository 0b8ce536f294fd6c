package dashboard

import (
	"log/slog"
	"net/http"
	"net/url"
	"regexp"

	"github.com/gin-gonic/gin"
)

const cookieName = "flaresmith_project"

var projectPattern = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// guard lets in who comes with a good link or the cookie that an earlier one was exchanged for, and
// who is signed in and may see the repository. Everybody else gets the same answer whether or not
// there is such a project.
func (d *Dashboard) guard(c *gin.Context) {
	harden(c.Writer.Header())
	project := c.Param("project")
	if !projectPattern.MatchString(project) {
		d.refuse(c, wrong)
		return
	}
	if token, given := c.GetQuery("t"); given {
		d.exchange(c, project, token)
		return
	}
	best := wrong
	// A preview next to this host may have set a cookie of the same name: any good one will do.
	for _, cookie := range c.Request.CookiesNamed(cookieName) {
		s, _ := d.Links.check(purposeCookie, project, cookie.Value)
		best = max(best, s)
	}
	if best != valid {
		d.admit(c, project, best)
	}
}

// admit lets in who is signed in and may see the repository. link is what a link of theirs is worth.
func (d *Dashboard) admit(c *gin.Context, project string, link standing) {
	if d.SignIn == nil {
		d.refuse(c, link)
		return
	}
	people := d.Links.people(c.Request)
	var trouble error
	for _, person := range people {
		may, err := d.access.may(c.Request.Context(), person, project)
		if may {
			c.Set(personKey, person.Login)
			return
		}
		if err != nil {
			trouble = err
		}
	}
	switch {
	case c.Request.Context().Err() != nil:
		c.Abort() // nobody listens any more
	case trouble != nil:
		d.Logger.WarnContext(c.Request.Context(), "dashboard: ask for a person's role", slog.String("project", project), slog.Any("error", trouble))
		d.notice(c, http.StatusServiceUnavailable, Notice{Title: "Your access can't be checked now", Text: "GitHub does not answer, so nothing is shown.", Hint: "Try again in a minute."})
	case len(people) > 0:
		d.notice(c, http.StatusForbidden, Notice{
			Title:  "You can't see this page",
			Text:   people[0].Login + " may not see the repository on GitHub, or there is no such page.",
			Hint:   "On a public repository it takes the triage role, or more. If your login changed, sign in again.",
			Action: &Action{Text: "Sign in again", URL: d.Links.signInAt(project)}, SignOut: signOutPath, Project: project,
		})
	default:
		d.refuse(c, link)
	}
}

const personKey = "flaresmith.person"

// viewer is the login of who is signed in; empty for who came with a link.
func viewer(c *gin.Context) string { return c.GetString(personKey) }

// exchange turns a link's token into a cookie and leads to the address without it, so that the
// token stays out of bookmarks, screenshots and logs.
func (d *Dashboard) exchange(c *gin.Context, project, token string) {
	value, until, s := d.Links.redeem(project, token)
	if s != valid {
		d.refuse(c, s)
		return
	}
	http.SetCookie(c.Writer, &http.Cookie{ //nolint:gosec // Secure wherever the server is reached by https
		Name: cookieName, Value: value, Path: "/projects/" + project, Expires: until,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: d.Links.secure(),
	})
	c.Redirect(http.StatusSeeOther, (&url.URL{Path: c.Request.URL.Path}).String())
	c.Abort()
}

// refuse tells somebody whom nothing lets in what would.
func (d *Dashboard) refuse(c *gin.Context, link standing) {
	n := Notice{
		Title: "You need a link to see this page",
		Text:  "It is shown to people who were given a link by whoever operates this server.",
		Hint:  "The operator makes one with this command:",
		Code:  "flaresmith link <owner>/<repository>",
	}
	if project := c.Param("project"); d.SignIn != nil && projectPattern.MatchString(project) {
		n.Title = "Sign in to see this page"
		n.Text = "It is shown to people who may see the repository on GitHub."
		n.Hint = "Or ask whoever operates this server for a link. This command makes one:"
		n.Action = &Action{Text: "Sign in with GitHub", URL: d.Links.signInAt(project)}
	}
	if link == expired {
		n.Title = "This link is no longer valid"
		n.Text = "Links end after some time, and some work only once."
		n.Hint = "The operator makes a new one with this command:"
	}
	d.notice(c, http.StatusForbidden, n)
}

// harden sets what every page of ours carries: nothing is stored, sent on, framed or loaded from elsewhere.
func harden(h http.Header) {
	h.Set("Content-Security-Policy", policy())
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex")
}
