package github

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

type installation struct {
	id          int64
	account     *User
	all         bool // covers every repository of the account
	repos       []*repository
	permissions map[string]string
	created     time.Time
	updated     time.Time
	suspended   time.Time
	suspendedBy *User
	deleted     bool
}

func (in *installation) covers(r *repository) bool {
	if in.deleted || r.owner != in.account {
		return false
	}
	return in.all || slices.Contains(in.repos, r)
}

func (in *installation) active() bool { return !in.deleted && in.suspended.IsZero() }

// Install installs the App on an account for the repositories named ("owner/name" or "name"), or
// for all of the account's when none is named, and gives the installation's id.
func (s *Server) Install(account string, repos ...string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.installed(account) != nil {
		return 0, fmt.Errorf("installation on %s: exists", account)
	}
	in := &installation{
		id: s.next(), account: s.user(account), all: len(repos) == 0,
		permissions: maps.Clone(s.cfg.Permissions), created: s.now(), updated: s.now(),
	}
	var err error
	if in.repos, err = s.accountRepos(account, repos); err != nil {
		return 0, err
	}
	s.installations = append(s.installations, in)
	s.emitInstallation("installation", "created", in, in.account, object{
		"repositories": s.shortRepos(s.reach(in)), "requester": nil,
	})
	return in.id, nil
}

func (s *Server) accountRepos(account string, names []string) ([]*repository, error) {
	var repos []*repository
	for _, name := range names {
		if !strings.Contains(name, "/") {
			name = account + "/" + name
		}
		r, err := s.mustFind(name)
		if err != nil {
			return nil, err
		}
		repos = append(repos, r)
	}
	return repos, nil
}

// installed is the installation on an account, or nil.
func (s *Server) installed(account string) *installation {
	for _, in := range s.installations {
		if !in.deleted && strings.EqualFold(in.account.Login, account) {
			return in
		}
	}
	return nil
}

// reach lists the repositories of an installation.
func (s *Server) reach(in *installation) []*repository {
	var repos []*repository
	for _, r := range s.repos {
		if in.covers(r) {
			repos = append(repos, r)
		}
	}
	return repos
}

// Uninstall removes the App from an account; its tokens stop working.
func (s *Server) Uninstall(account, actor string) error {
	return s.changeInstallation(account, actor, "deleted", func(in *installation) {
		in.deleted = true
		maps.DeleteFunc(s.tokens, func(_ string, t *token) bool { return t.installation == in })
	})
}

// Suspend suspends an installation: no events, and no tokens.
func (s *Server) Suspend(account, actor string) error {
	return s.changeInstallation(account, actor, "suspend", func(in *installation) {
		in.suspended, in.suspendedBy = s.now(), s.user(actor)
	})
}

// Unsuspend ends a suspension.
func (s *Server) Unsuspend(account, actor string) error {
	return s.changeInstallation(account, actor, "unsuspend", func(in *installation) {
		in.suspended, in.suspendedBy = time.Time{}, nil
	})
}

// AcceptPermissions changes what an installation is granted, as its owner's consent to new permissions does.
func (s *Server) AcceptPermissions(account string, permissions map[string]string, actor string) error {
	return s.changeInstallation(account, actor, "new_permissions_accepted", func(in *installation) {
		in.permissions = maps.Clone(permissions)
	})
}

// RenameAccount gives an account another login; its installation is told, and its repositories' old paths redirect.
func (s *Server) RenameAccount(account, to string) error {
	if !namePattern.MatchString(to) {
		return fmt.Errorf("account %q: bad name", to)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.users[strings.ToLower(account)]
	if _, taken := s.users[strings.ToLower(to)]; !ok || taken {
		return fmt.Errorf("account %s to %s: %w", account, to, ErrNotFound)
	}
	for _, r := range s.repos {
		if r.owner == u {
			s.moved[strings.ToLower(r.fullName())] = r
		}
	}
	old := u.Login
	delete(s.users, strings.ToLower(old))
	u.Login = to
	s.users[strings.ToLower(to)] = u
	if in := s.installed(to); in != nil {
		short := s.userJSON(u)
		short["created_at"], short["updated_at"] = stamp(in.created), stamp(s.now())
		s.hooks.deliver("installation_target", "renamed", in.id, 0, object{
			"action": "renamed", "account": short, "changes": object{"login": object{"from": old}}, "target_type": u.Type, "sender": s.userJSON(u),
			"installation": object{"id": in.id, "node_id": nodeID("I", in.id)},
		})
	}
	return nil
}

func (s *Server) changeInstallation(account, actor, action string, change func(*installation)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.installed(account)
	if in == nil {
		return fmt.Errorf("installation on %s: %w", account, ErrNotFound)
	}
	repos := s.shortRepos(s.reach(in))
	change(in)
	in.updated = s.now()
	s.emitInstallation("installation", action, in, s.user(actor), object{"repositories": repos})
	return nil
}

// AddRepos adds repositories to an installation on selected ones.
func (s *Server) AddRepos(account string, repos ...string) error {
	return s.changeSelection(account, repos, "added")
}

// RemoveRepos takes repositories out of an installation on selected ones.
func (s *Server) RemoveRepos(account string, repos ...string) error {
	return s.changeSelection(account, repos, "removed")
}

func (s *Server) changeSelection(account string, names []string, action string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.installed(account)
	if in == nil {
		return fmt.Errorf("installation on %s: %w", account, ErrNotFound)
	}
	repos, err := s.accountRepos(account, names)
	if err != nil {
		return err
	}
	added, removed := []object{}, []object{}
	if action == "added" {
		in.repos, added = append(in.repos, repos...), s.shortRepos(repos)
	} else {
		in.all, in.repos = false, slices.DeleteFunc(s.reach(in), func(r *repository) bool { return slices.Contains(repos, r) })
		removed = s.shortRepos(repos)
	}
	s.emitInstallation("installation_repositories", action, in, in.account, object{
		"repositories_added": added, "repositories_removed": removed, "repository_selection": in.selection(), "requester": nil,
	})
	return nil
}

func (in *installation) selection() string {
	if in.all {
		return "all"
	}
	return "selected"
}

func (s *Server) shortRepos(repos []*repository) []object {
	short := []object{}
	for _, r := range repos {
		short = append(short, object{
			"id": r.id, "node_id": nodeID("R", r.id), "name": r.name, "full_name": r.fullName(), "private": r.private,
		})
	}
	return short
}

func (s *Server) installationJSON(in *installation) object {
	id := in.id
	var suspendedBy any
	if in.suspendedBy != nil {
		suspendedBy = s.userJSON(in.suspendedBy)
	}
	return object{
		"id": id, "account": s.userJSON(in.account), "repository_selection": in.selection(),
		"access_tokens_url": s.apiURL("/app/installations/%d/access_tokens", id), "repositories_url": s.apiURL("/installation/repositories"),
		"html_url": fmt.Sprintf("%s/organizations/%s/settings/installations/%d", s.base, in.account.Login, id),
		"app_id":   s.cfg.AppID, "app_slug": s.cfg.AppSlug, "target_id": in.account.ID, "target_type": in.account.Type,
		"permissions": in.permissions, "events": hookEvents(), "created_at": stamp(in.created), "updated_at": stamp(in.updated),
		"single_file_name": nil, "has_multiple_single_files": false, "single_file_paths": []string{},
		"suspended_by": suspendedBy, "suspended_at": stamp(in.suspended),
	}
}

func (s *Server) appJSON() object {
	owner := s.user(s.cfg.AppSlug)
	owner.Type = "Organization"
	created := stamp(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	page := s.base + "/apps/" + s.cfg.AppSlug
	return object{
		"id": s.cfg.AppID, "slug": s.cfg.AppSlug, "node_id": nodeID("A", s.cfg.AppID), "owner": s.userJSON(owner), "name": s.cfg.AppSlug,
		"description": nil, "external_url": page, "html_url": page, "created_at": created, "updated_at": created,
		"permissions": s.cfg.Permissions, "events": appEvents(),
	}
}
