package github

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	codeLife      = 10 * time.Minute
	userTokenLife = 8 * time.Hour
	refreshLife   = 184 * 24 * time.Hour

	nobody = "-" // no login: the person declines
)

// signIn is the state of the web flow in which a person lets an App know who they are.
type signIn struct {
	id, secret string // the App's client credentials
	callback   string // the one address that people are sent back to
	codes      map[string]grant
	tokens     map[string]userToken
}

// grant is a code that was given to the App and not yet exchanged.
type grant struct {
	user                *User
	redirect, challenge string
	expires             time.Time
}

type userToken struct {
	user    *User
	expires time.Time
}

func (si *signIn) init() {
	si.id, si.secret = "Iv23"+rand.Text()[:16], strings.ToLower(rand.Text()+rand.Text())
	si.codes, si.tokens = map[string]grant{}, map[string]userToken{}
}

// ClientID is the App's public name in the web flow, and ClientSecret what it proves itself with.
func (s *Server) ClientID() string { return s.signIn.id }

// ClientSecret is the App's password at the token endpoint.
func (s *Server) ClientSecret() string { return s.signIn.secret }

// SetCallback says where people are sent back to after they signed in, as the App's page does.
func (s *Server) SetCallback(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signIn.callback = address
}

// tokenRoute is no part of the REST API, but answered and broken like it.
func tokenRoute() route {
	return route{"POST", "/login/oauth/access_token", asAnybody, "", (*call).exchangeCode, false}
}

// authorize asks the person who they are and sends them back with a code.
func (p *pages) authorize(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	si := &p.s.signIn
	switch {
	case q.Get("client_id") != si.id:
		http.NotFound(w, req)
		return
	case si.callback == "" || q.Get("redirect_uri") != si.callback:
		http.Error(w, "The redirect_uri is not associated with this application.", http.StatusBadRequest)
		return
	case q.Get("code_challenge") != "" && q.Get("code_challenge_method") != "S256":
		http.Error(w, "The code_challenge_method must be S256.", http.StatusBadRequest)
		return
	}
	who := q.Get("as")
	if who == "" {
		p.render(w, "authorize", p.choices(q))
		return
	}
	answer := url.Values{"state": q["state"]}
	if user, ok := p.s.users[strings.ToLower(who)]; ok && user.Type == "User" {
		code := strings.ToLower(rand.Text())[:20]
		si.codes[code] = grant{user, si.callback, q.Get("code_challenge"), p.s.cfg.Clock().Add(codeLife)}
		answer.Set("code", code)
	} else {
		answer.Set("error", "access_denied")
		answer.Set("error_description", "The user has denied your application access.")
	}
	http.Redirect(w, req, si.callback+"?"+answer.Encode(), http.StatusFound)
}

type choice struct{ Login, Address string }

// choices are the people, each with the address that answers for them; nobody's declines.
func (p *pages) choices(q url.Values) []choice {
	var list []choice
	for _, login := range append(p.s.logins(), nobody) {
		as := maps.Clone(q)
		as["as"] = []string{login}
		list = append(list, choice{login, "?" + as.Encode()})
	}
	return list
}

// exchangeCode gives a token for a code. GitHub refuses with status 200 and an error in the body.
func (c *call) exchangeCode() (answer, error) {
	given, err := url.ParseQuery(string(c.body))
	if err != nil {
		return answer{}, fail(http.StatusBadRequest, "Problems parsing the form")
	}
	si := &c.s.signIn
	if given.Get("client_id") != si.id {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	if subtle.ConstantTimeCompare([]byte(given.Get("client_secret")), []byte(si.secret)) == 0 {
		return c.tokenAnswer(refused("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect."))
	}
	code := given.Get("code")
	granted, ok := si.codes[code]
	delete(si.codes, code)
	switch {
	case !ok, !c.s.cfg.Clock().Before(granted.expires), !granted.proved(given.Get("code_verifier")):
		return c.tokenAnswer(refused("bad_verification_code", "The code passed is incorrect or expired."))
	case given.Has("redirect_uri") && given.Get("redirect_uri") != granted.redirect:
		return c.tokenAnswer(refused("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application."))
	}
	token := "ghu_" + rand.Text() + rand.Text()[:10]
	si.tokens[token] = userToken{granted.user, c.s.cfg.Clock().Add(userTokenLife)}
	return c.tokenAnswer(url.Values{
		"access_token": {token}, "token_type": {"bearer"}, "scope": {""}, "expires_in": {strconv.Itoa(int(userTokenLife.Seconds()))},
		"refresh_token": {"ghr_" + rand.Text() + rand.Text()}, "refresh_token_expires_in": {strconv.Itoa(int(refreshLife.Seconds()))},
	})
}

// proved compares a PKCE verifier with the challenge that the code was asked for with.
func (g grant) proved(verifier string) bool {
	if g.challenge == "" {
		return true
	}
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:]) == g.challenge
}

func refused(code, description string) url.Values {
	return url.Values{"error": {code}, "error_description": {description}, "error_uri": {"https://docs.github.com"}}
}

// tokenAnswer is a form, or JSON for those who ask for it.
func (c *call) tokenAnswer(values url.Values) (answer, error) {
	if accepted, _, err := mime.ParseMediaType(c.r.Header.Get("Accept")); err == nil && accepted == "application/json" {
		body := object{}
		for key := range values {
			body[key] = values.Get(key)
		}
		return answer{body: body}, nil
	}
	return answer{raw: []byte(values.Encode()), contentType: "application/x-www-form-urlencoded; charset=utf-8"}, nil
}

// identifyUser checks a person's token.
func (c *call) identifyUser(credential string) error {
	t, ok := c.s.signIn.tokens[credential]
	if !ok || !c.s.cfg.Clock().Before(t.expires) {
		return fail(http.StatusUnauthorized, "Bad credentials")
	}
	c.user = t.user
	return nil
}

// identifyClient checks the App's own credentials for its users' tokens.
func (c *call) identifyClient() error {
	id, secret, _ := c.r.BasicAuth()
	si := &c.s.signIn
	if id != si.id || c.r.PathValue("client_id") != si.id || subtle.ConstantTimeCompare([]byte(secret), []byte(si.secret)) == 0 {
		return fail(http.StatusNotFound, "Not Found")
	}
	return nil
}

// checkUserToken tells whose a token is. One of another App, or of none, is not found.
func (c *call) checkUserToken() (answer, error) {
	var in struct {
		AccessToken string `json:"access_token"`
	}
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	t, ok := c.s.signIn.tokens[in.AccessToken]
	if !ok || !c.s.cfg.Clock().Before(t.expires) {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	si := &c.s.signIn
	return answer{body: object{
		"id": 1, "url": c.s.apiURL("/authorizations/1"), "scopes": nil, "token": "", "token_last_eight": in.AccessToken[len(in.AccessToken)-8:],
		"hashed_token": "", "note": nil, "note_url": nil, "fingerprint": nil, "created_at": stamp(c.s.now()), "updated_at": stamp(c.s.now()), "expires_at": stamp(t.expires),
		"app": object{"client_id": si.id, "name": "Flaresmith", "url": c.s.base}, "user": c.s.userJSON(t.user),
	}}, nil
}

// UserToken gives a person's token of the App, as if they had gone through its user flow.
func (s *Server) UserToken(login string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := "ghu_" + rand.Text() + rand.Text()[:10]
	s.signIn.tokens[token] = userToken{s.user(login), s.cfg.Clock().Add(userTokenLife)}
	return token
}

func (c *call) getUser() (answer, error) {
	body := c.s.userJSON(c.user)
	maps.Copy(body, object{
		"name": nil, "company": nil, "blog": "", "location": nil, "email": nil, "hireable": nil, "bio": nil, "public_repos": 0,
		"public_gists": 0, "followers": 0, "following": 0, "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z",
	})
	return answer{body: body}, nil
}

// RenameUser gives a person another login. The old one is free for anybody from then on.
func (s *Server) RenameUser(login, to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, key := strings.ToLower(login), strings.ToLower(to)
	u, ok := s.users[from]
	if !ok {
		return fmt.Errorf("user %s: %w", login, ErrNotFound)
	}
	if _, taken := s.users[key]; taken {
		return errors.New("user " + to + ": exists")
	}
	u.Login = to
	delete(s.users, from)
	s.users[key] = u
	for _, r := range s.repos {
		if role, ok := r.roles[from]; ok {
			delete(r.roles, from)
			r.roles[key] = role
		}
	}
	return nil
}
