package dashboard

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	sessionName = "session"
	signInName  = "signin"
	sessionLife = 8 * time.Hour
	signInLife  = 10 * time.Minute
	// sessionsTried bounds how many cookies of that name one request is looked at for.
	sessionsTried = 4
)

// seal signs a text without line breaks until then: "<text>.<expiry>.<HMAC>".
func (l *Links) seal(purpose, text string, until time.Time) string {
	return text + "." + l.token(purpose, text, until)
}

// unseal is the text of what seal made for that purpose, and until when it holds; ok: it does.
func (l *Links) unseal(purpose, sealed string) (text string, until time.Time, ok bool) {
	i := strings.LastIndexByte(sealed, '.')
	j := strings.LastIndexByte(sealed[:max(i, 0)], '.')
	if j < 0 {
		return "", time.Time{}, false
	}
	s, until := l.check(purpose, sealed[:j], sealed[j+1:])
	return sealed[:j], until, s == valid
}

// cookie is one of the whole server's. With https its name has the prefix that keeps other hosts,
// such as a preview's next to this one, from setting it.
func (l *Links) cookie(name, value string, until time.Time) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure wherever the server is reached by https
		Name: l.cookieName(name), Value: value, Path: "/", Expires: until,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: l.secure(),
	}
}

func (l *Links) cookieName(name string) string {
	if l.secure() {
		return "__Host-flaresmith_" + name
	}
	return "flaresmith_" + name
}

// drop takes a cookie from the browser.
func (l *Links) drop(c *gin.Context, name string) {
	http.SetCookie(c.Writer, l.cookie(name, "", time.Unix(1, 0)))
}

// session is the value of a cookie that says who somebody is.
func (l *Links) session(p preview.Person, until time.Time) string {
	return l.seal(purposeSession, strconv.FormatInt(p.ID, 10)+"."+p.Login, until)
}

// people are those whom the request's cookies name: usually one or nobody. Without https, other
// hosts can add cookies, which must not push the right one aside.
func (l *Links) people(r *http.Request) []preview.Person {
	var people []preview.Person
	cookies := r.CookiesNamed(l.cookieName(sessionName))
	for _, cookie := range cookies[:min(len(cookies), sessionsTried)] {
		text, _, ok := l.unseal(purposeSession, cookie.Value)
		if !ok || l.isUsed(cookie.Value) {
			continue
		}
		id, login, _ := strings.Cut(text, ".")
		if n, err := strconv.ParseInt(id, 10, 64); err == nil {
			people = append(people, preview.Person{ID: n, Login: login})
		}
	}
	return people
}

// end makes the request's sessions worthless, wherever else their cookies may be. Like one-time
// links, they are remembered in memory.
func (l *Links) end(r *http.Request) {
	for _, cookie := range r.CookiesNamed(l.cookieName(sessionName)) {
		if _, until, ok := l.unseal(purposeSession, cookie.Value); ok {
			l.firstUse(cookie.Value, until)
		}
	}
}
