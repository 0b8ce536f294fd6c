package dashboard

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// What a token was made for is part of what is signed, so that none passes for another kind.
const (
	purposeLink   = "link"
	purposeOnce   = "once"
	purposeCookie = "cookie"

	purposeSession = "session" // of a person, for all projects
	purposeSignIn  = "sign-in" // one that was begun
)

// standing is what a token is worth.
type standing int

const (
	wrong standing = iota // not made by us for this project, or used up
	expired
	valid
)

// Links makes and checks the links that let a person see one project's pages. A token is
// "<expiry in Unix seconds>.<HMAC-SHA256 over purpose, project and expiry>"; that of a one-time link has
// a random word and a dot in front, which is signed, too. It is safe for concurrent use.
type Links struct {
	key  []byte
	base *url.URL
	now  func() time.Time

	mu   sync.Mutex
	used map[string]time.Time // one-time tokens that were exchanged and sessions that were ended, and when they expire
}

// NewLinks makes links below base, the server's public address, signed with key. now is the
// clock; nil: time.Now.
func NewLinks(key preview.Secret, base string, now func() time.Time) (*Links, error) {
	if key == "" {
		return nil, errors.New("links: the key is empty")
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("links: %q is not an http or https URL", base)
	}
	if now == nil {
		now = time.Now
	}
	return &Links{key: []byte(key.Reveal()), base: u, now: now, used: map[string]time.Time{}}, nil
}

// Page is where a project's environments are shown, to people who were let in before. It carries
// no token, so it may stand in public.
func (l *Links) Page(projectID string) string {
	return l.base.JoinPath("projects", projectID, "environments").String()
}

// Link lets everybody who has it see the project until then.
func (l *Links) Link(projectID string, until time.Time) string {
	return l.Page(projectID) + "?t=" + l.token(purposeLink, projectID, until)
}

// OneTime is a Link that lets in one browser only. What was used is remembered in memory: a
// restarted server would accept it again.
func (l *Links) OneTime(projectID string, until time.Time) string {
	word := rand.Text()
	return l.Page(projectID) + "?t=" + word + "." + l.token(purposeOnce, once(projectID, word), until)
}

// once is the subject of a one-time link: two that were made in one second are not the same.
func once(projectID, word string) string { return projectID + " " + word }

// secure reports whether browsers reach us by https.
func (l *Links) secure() bool { return l.base.Scheme == "https" }

func (l *Links) token(purpose, projectID string, until time.Time) string {
	expiry := strconv.FormatInt(until.Unix(), 10)
	return expiry + "." + l.mac(purpose, projectID, expiry)
}

func (l *Links) mac(purpose, projectID, expiry string) string {
	h := hmac.New(sha256.New, l.key)
	fmt.Fprintf(h, "flaresmith %s\n%s\n%s", purpose, projectID, expiry)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// check tells what a token of that purpose is worth for the project, and until when.
func (l *Links) check(purpose, projectID, token string) (standing, time.Time) {
	expiry, mac, ok := strings.Cut(token, ".")
	if !ok || !hmac.Equal([]byte(mac), []byte(l.mac(purpose, projectID, expiry))) {
		return wrong, time.Time{}
	}
	seconds, err := strconv.ParseInt(expiry, 10, 64)
	if err != nil {
		return wrong, time.Time{}
	}
	until := time.Unix(seconds, 0)
	if !l.now().Before(until) {
		return expired, until
	}
	return valid, until
}

// redeem exchanges the token of a link for that of a cookie, which ends when the link does.
func (l *Links) redeem(projectID, token string) (cookie string, until time.Time, s standing) {
	if s, until = l.check(purposeLink, projectID, token); s == wrong {
		word, rest, _ := strings.Cut(token, ".")
		if s, until = l.check(purposeOnce, once(projectID, word), rest); s == valid && !l.firstUse(token, until) {
			s = expired
		}
	}
	if s != valid {
		return "", until, s
	}
	return l.token(purposeCookie, projectID, until), until, valid
}

func (l *Links) isUsed(token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, used := l.used[token]
	return used
}

// firstUse marks a valid token as used up; false: it was already.
func (l *Links) firstUse(token string, until time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for old, end := range l.used {
		if !l.now().Before(end) {
			delete(l.used, old)
		}
	}
	if _, used := l.used[token]; used {
		return false
	}
	l.used[token] = until
	return true
}
