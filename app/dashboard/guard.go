package dashboard

import (
	"net/http"
	"net/url"
	"regexp"

	"github.com/gin-gonic/gin"
)

const cookieName = "flaresmith_project"

var projectPattern = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// guard lets in who comes with a good link or the cookie that an earlier one was exchanged for.
// Everybody else gets the same answer whether or not there is such a project.
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
		d.refuse(c, best)
	}
}

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

func (d *Dashboard) refuse(c *gin.Context, s standing) {
	n := Notice{
		Title: "You need a link to see this page",
		Text:  "It is shown to people who were given a link by whoever operates this server.",
		Hint:  "The operator makes one with this command:",
		Code:  "flaresmith link <owner>/<repository>",
	}
	if s == expired {
		n.Title = "This link is no longer valid"
		n.Text = "Links end after some time, and some work only once."
		n.Hint = "The operator makes a new one with this command:"
	}
	d.notice(c, http.StatusForbidden, n)
	c.Abort()
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
