package github

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// token is an installation access token.
type token struct {
	installation *installation
	repos        []*repository // nil: whatever the installation reaches
	permissions  map[string]string
	expires      time.Time
}

func (t *token) reaches(r *repository) bool {
	return t.installation.covers(r) && (t.repos == nil || slices.Contains(t.repos, r))
}

// may reports whether the token has one of the permissions "name:level|name:level".
func (t *token) may(permission string) bool {
	for one := range strings.SplitSeq(permission, "|") {
		name, level, _ := strings.Cut(one, ":")
		if has := t.permissions[name]; rank(has) >= rank(level) && has != "" {
			return true
		}
		if name == "metadata" { // every token has it
			return true
		}
	}
	return false
}

func rank(level string) int { return slices.Index([]string{"", "read", "write", "admin"}, level) }

// identify checks who calls, by what the route asks for.
func (c *call) identify(rt *route) error {
	if rt.as == asAnybody {
		return nil
	}
	if rt.as == asClient {
		return c.identifyClient()
	}
	scheme, credential, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if credential == "" {
		return fail(http.StatusUnauthorized, "Requires authentication")
	}
	if !strings.EqualFold(scheme, "bearer") && !strings.EqualFold(scheme, "token") {
		return fail(http.StatusUnauthorized, "Bad credentials")
	}
	if rt.as == asApp {
		return c.s.verifyJWT(credential)
	}
	if rt.as == asUser {
		return c.identifyUser(credential)
	}
	t, ok := c.s.tokens[credential]
	switch {
	case !ok && strings.Count(credential, ".") == 2:
		return fail(http.StatusForbidden, "Resource not accessible by integration")
	case !ok, !c.s.now().Before(t.expires):
		return fail(http.StatusUnauthorized, "Bad credentials")
	case !t.installation.suspended.IsZero():
		return fail(http.StatusForbidden, "This installation has been suspended")
	}
	c.token, c.installation = t, t.installation
	return nil
}

// verifyJWT accepts what GitHub accepts of an App: RS256, its id as issuer, at most ten minutes of life.
func (s *Server) verifyJWT(credential string) error {
	var claims struct {
		jwt.RegisteredClaims
		Issuer any `json:"iss"`
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	if _, err := parser.ParseWithClaims(credential, &claims, func(*jwt.Token) (any, error) { return s.cfg.AppPublicKey, nil }); err != nil {
		return fail(http.StatusUnauthorized, "A JSON web token could not be decoded")
	}
	now := s.cfg.Clock()
	issuer := fmt.Sprint(claims.Issuer)
	if n, ok := claims.Issuer.(float64); ok {
		issuer = strconv.FormatInt(int64(n), 10)
	}
	const skew = 60 * time.Second
	switch {
	case issuer != strconv.FormatInt(s.cfg.AppID, 10):
		return fail(http.StatusNotFound, "Integration not found")
	case claims.IssuedAt == nil || claims.IssuedAt.After(now.Add(skew)):
		return fail(http.StatusUnauthorized, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	case claims.ExpiresAt == nil || claims.ExpiresAt.Before(now):
		return fail(http.StatusUnauthorized, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case claims.ExpiresAt.After(now.Add(10*time.Minute + skew)):
		return fail(http.StatusUnauthorized, "'Expiration time' claim ('exp') is too far in the future")
	}
	return nil
}

func (c *call) getApp() (answer, error) {
	app := c.s.appJSON()
	count := 0
	for _, in := range c.s.installations {
		if !in.deleted {
			count++
		}
	}
	app["installations_count"], app["events"] = count, hookEvents()
	return answer{body: app}, nil
}

func (c *call) listInstallations() (answer, error) {
	list := []object{}
	for _, in := range c.s.installations {
		if !in.deleted {
			list = append(list, c.s.installationJSON(in))
		}
	}
	return c.page(list)
}

func (c *call) pathInstallation() (*installation, error) {
	id := c.id("installation_id")
	for _, in := range c.s.installations {
		if in.id == id && !in.deleted {
			return in, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Not Found")
}

func (c *call) getInstallation() (answer, error) {
	in, err := c.pathInstallation()
	if err != nil {
		return answer{}, err
	}
	return answer{body: c.s.installationJSON(in)}, nil
}

func (c *call) repoInstallation() (answer, error) {
	for _, in := range c.s.installations {
		if in.covers(c.repo) {
			return answer{body: c.s.installationJSON(in)}, nil
		}
	}
	return answer{}, fail(http.StatusNotFound, "Not Found")
}

func (c *call) createToken() (answer, error) {
	in, err := c.pathInstallation()
	if err != nil {
		return answer{}, err
	}
	if !in.suspended.IsZero() {
		return answer{}, fail(http.StatusForbidden, "This installation has been suspended")
	}
	var want struct {
		Repositories  []string          `json:"repositories"`
		RepositoryIDs []int64           `json:"repository_ids"`
		Permissions   map[string]string `json:"permissions"`
	}
	if err := c.decode(&want); err != nil {
		return answer{}, err
	}
	t := &token{installation: in, permissions: maps.Clone(in.permissions), expires: c.s.now().Add(time.Hour)}
	if t.repos, err = c.tokenRepos(in, want.RepositoryIDs, want.Repositories); err != nil {
		return answer{}, err
	}
	if len(want.Permissions) > 0 {
		for name, level := range want.Permissions {
			if rank(level) < 1 || rank(in.permissions[name]) < rank(level) {
				return answer{}, fail(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			}
		}
		t.permissions = maps.Clone(want.Permissions)
		t.permissions["metadata"] = "read"
	}
	secret := make([]byte, 27)
	if _, err := rand.Read(secret); err != nil {
		return answer{}, err
	}
	value := "ghs_" + base64.RawURLEncoding.EncodeToString(secret)
	c.s.tokens[value] = t
	body := object{
		"token": value, "expires_at": stamp(t.expires), "permissions": t.permissions, "repository_selection": in.selection(),
	}
	if t.repos != nil {
		list := []object{}
		for _, r := range t.repos {
			list = append(list, c.s.repoJSON(r))
		}
		body["repositories"], body["repository_selection"] = list, "selected"
	}
	return answer{status: http.StatusCreated, body: body}, nil
}

// tokenRepos resolves what a token is narrowed to; nil when it is not narrowed.
func (c *call) tokenRepos(in *installation, ids []int64, names []string) ([]*repository, error) {
	if len(ids) == 0 && len(names) == 0 {
		return nil, nil
	}
	repos := []*repository{}
	for _, r := range c.s.reach(in) {
		if slices.Contains(ids, r.id) || slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, r.name) }) {
			repos = append(repos, r)
		}
	}
	if len(repos) != len(ids)+len(names) {
		return nil, fail(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
	}
	return repos, nil
}

func (c *call) installationRepositories() (answer, error) {
	list := []object{}
	for _, r := range c.s.reach(c.installation) {
		if c.token.reaches(r) {
			list = append(list, c.s.repoJSON(r))
		}
	}
	return c.pageIn("repositories", list)
}
