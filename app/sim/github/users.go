package github

import (
	"encoding/base64"
	"fmt"
	"strings"
)

type object = map[string]any

// User is a person, an organisation or a bot.
type User struct {
	ID    int64
	Login string
	Type  string // "User", "Organization", "Bot"
}

// AddUser makes a person who has no role anywhere; a known login is fine.
func (s *Server) AddUser(login string) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.user(login)
}

// user finds or makes the user of that login. The caller holds s.mu.
func (s *Server) user(login string) *User {
	key := strings.ToLower(login)
	if u, ok := s.users[key]; ok {
		return u
	}
	u := &User{ID: s.next(), Login: login, Type: "User"}
	if strings.HasSuffix(login, "[bot]") {
		u.Type = "Bot"
	}
	s.users[key] = u
	return u
}

func nodeID(kind string, id int64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d", kind, id))
}

func (s *Server) apiURL(format string, args ...any) string {
	return s.base + "/api/v3" + fmt.Sprintf(format, args...)
}

func (s *Server) userJSON(u *User) object {
	if u == nil {
		return nil
	}
	page, api := s.base+"/"+pathEscape(u.Login), s.apiURL("/users/%s", pathEscape(u.Login))
	return object{
		"login": u.Login, "id": u.ID, "node_id": nodeID("U", u.ID), "avatar_url": s.base + "/_avatar/" + pathEscape(u.Login) + ".svg",
		"gravatar_id": "", "url": api, "html_url": page, "followers_url": api + "/followers",
		"following_url": api + "/following{/other_user}", "gists_url": api + "/gists{/gist_id}",
		"starred_url": api + "/starred{/owner}{/repo}", "subscriptions_url": api + "/subscriptions",
		"organizations_url": api + "/orgs", "repos_url": api + "/repos", "events_url": api + "/events{/privacy}",
		"received_events_url": api + "/received_events", "type": u.Type, "site_admin": false, "user_view_type": "public",
	}
}

func (s *Server) organizationJSON(u *User) object {
	api := s.apiURL("/orgs/%s", u.Login)
	return object{
		"login": u.Login, "id": u.ID, "node_id": nodeID("O", u.ID), "url": api, "repos_url": api + "/repos",
		"events_url": api + "/events", "hooks_url": api + "/hooks", "issues_url": api + "/issues",
		"members_url": api + "/members{/member}", "public_members_url": api + "/public_members{/member}",
		"avatar_url": s.base + "/_avatar/" + u.Login + ".svg", "description": "",
	}
}
