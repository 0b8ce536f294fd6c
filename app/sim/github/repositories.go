package github

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrNotFound is returned for a repository, pull request or other thing that does not exist.
var ErrNotFound = errors.New("not found")

var (
	errMergeConflict = errors.New("merge conflict")
	errPullExists    = errors.New("a pull request already exists")
)

type repository struct {
	id            int64
	owner         *User
	name          string
	defaultBranch string
	description   string
	private       bool
	archived      bool
	deleted       bool
	parent        *repository // of a fork
	dir           string      // bare repository; never changes
	created       time.Time
	pushed        time.Time
	updated       time.Time
	roles         map[string]string // role_name by lower-case login
	numbers       int               // last issue number
	pulls         []*pullRequest
	comments      []*Comment
	suites        []*checkSuite
	checks        []*CheckRun
	deployments   []*Deployment

	// writing serialises whatever moves refs. It is taken before Server.mu.
	writing sync.Mutex
}

func (r *repository) fullName() string { return r.owner.Login + "/" + r.name }

// RepoOptions are the details of CreateRepo.
type RepoOptions struct {
	DefaultBranch string // default "main"
	Private       bool
	Description   string
	PersonalOwner bool // the owner is a person, not an organisation
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// CreateRepo makes owner/name with the content as its first commit (nil: an empty repository) and
// gives its id. The owner becomes an organisation unless it is known, or PersonalOwner is set.
func (s *Server) CreateRepo(owner, name string, content fs.FS, opts RepoOptions) (int64, error) {
	if !namePattern.MatchString(owner) || !namePattern.MatchString(name) {
		return 0, fmt.Errorf("repository %s/%s: bad name", owner, name)
	}
	if opts.DefaultBranch == "" {
		opts.DefaultBranch = "main"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(owner+"/"+name) != nil {
		return 0, fmt.Errorf("repository %s/%s: exists", owner, name)
	}
	_, known := s.users[strings.ToLower(owner)]
	user := s.user(owner)
	if !known && !opts.PersonalOwner {
		user.Type = "Organization"
	}
	now := s.now()
	r := &repository{
		id: s.next(), owner: user, name: name, defaultBranch: opts.DefaultBranch, description: opts.Description,
		private: opts.Private, created: now, pushed: now, updated: now, roles: map[string]string{},
	}
	r.dir = filepath.Join(s.cfg.Dir, "repositories", fmt.Sprintf("%d.git", r.id))
	if err := initBare(r.dir, r.defaultBranch); err != nil {
		return 0, fmt.Errorf("repository %s: %w", r.fullName(), err)
	}
	if content != nil {
		changes, err := tree(content)
		if err != nil {
			return 0, fmt.Errorf("repository %s: content: %w", r.fullName(), err)
		}
		if _, err := s.git.write(context.Background(), r.dir, "refs/heads/"+r.defaultBranch, "", owner, "Initial commit", changes); err != nil {
			return 0, fmt.Errorf("repository %s: %w", r.fullName(), err)
		}
	}
	s.repos = append(s.repos, r)
	delete(s.moved, strings.ToLower(r.fullName()))
	s.repositoryCreated(r)
	return r.id, nil
}

// repositoryCreated tells the installation that covers all of the owner's repositories.
func (s *Server) repositoryCreated(r *repository) {
	s.emitRepo("repository", "created", r, r.owner, object{})
}

// tree lists the regular files and links of a file system as changes of a commit.
func tree(content fs.FS) ([]change, error) {
	var changes []change
	err := fs.WalkDir(content, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no regular file", path)
		}
		data, err := fs.ReadFile(content, path)
		if err != nil {
			return err
		}
		mode := "100644"
		if info.Mode()&0o111 != 0 && info.Mode()&0o222 != 0 { // embedded files are read-only, whatever they were
			mode = "100755"
		}
		changes = append(changes, change{path: path, mode: mode, content: data})
		return nil
	})
	return changes, err
}

// Fork makes user/<name of repo> a fork of it, with all of its branches.
func (s *Server) Fork(repo, user string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parent, err := s.mustFind(repo)
	if err != nil {
		return "", err
	}
	owner := s.user(user)
	if s.find(owner.Login+"/"+parent.name) != nil {
		return "", fmt.Errorf("repository %s/%s: exists", owner.Login, parent.name)
	}
	now := s.now()
	r := &repository{
		id: s.next(), owner: owner, name: parent.name, defaultBranch: parent.defaultBranch, private: parent.private,
		created: now, pushed: now, updated: now, roles: map[string]string{}, parent: parent,
	}
	r.dir = filepath.Join(s.cfg.Dir, "repositories", fmt.Sprintf("%d.git", r.id))
	if err := initBare(r.dir, r.defaultBranch); err != nil {
		return "", fmt.Errorf("fork of %s: %w", repo, err)
	}
	if _, err := s.git.run(context.Background(), r.dir, nil, "fetch", "--quiet", parent.dir, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"); err != nil {
		return "", fmt.Errorf("fork of %s: %w", repo, err)
	}
	s.repos = append(s.repos, r)
	return r.fullName(), nil
}

// SetRole gives a person a role on a repository: admin, maintain, write, triage, read or none.
func (s *Server) SetRole(repo, login, role string) error {
	if !slices.Contains([]string{"admin", "maintain", "write", "triage", "read", "none"}, role) {
		return fmt.Errorf("role %q: unknown", role)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return err
	}
	s.user(login)
	r.roles[strings.ToLower(login)] = role
	return nil
}

// role is the role_name of a person; whoever owns a personal repository is its admin, and anyone reads a public one.
func (r *repository) role(u *User) string {
	if role, ok := r.roles[strings.ToLower(u.Login)]; ok && role != "none" {
		return role
	}
	if r.owner == u {
		return "admin"
	}
	if !r.private {
		return "read"
	}
	return "none"
}

func (r *repository) canPush(u *User) bool {
	return slices.Contains([]string{"admin", "maintain", "write"}, r.role(u))
}

// Rename moves a repository to "owner/name": the old path redirects from now on. A new owner makes it a transfer.
func (s *Server) Rename(repo, to, actor string) error {
	owner, name, ok := strings.Cut(to, "/")
	if !ok || !namePattern.MatchString(owner) || !namePattern.MatchString(name) {
		return fmt.Errorf("repository %q: bad name", to)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return err
	}
	if other := s.find(to); other != nil && other != r {
		return fmt.Errorf("repository %s: exists", to)
	}
	oldOwner, oldName := r.owner, r.name
	s.moved[strings.ToLower(r.fullName())] = r
	delete(s.moved, strings.ToLower(to))
	by := s.user(actor)
	r.updated = s.now()
	if !strings.EqualFold(owner, oldOwner.Login) {
		r.owner, r.name = s.user(owner), name
		s.emitRepo("repository", "transferred", r, by, object{"changes": object{"owner": object{"from": ownerFrom(s, oldOwner)}}})
		return nil
	}
	r.name = name
	s.emitRepo("repository", "renamed", r, by, object{"changes": object{"repository": object{"name": object{"from": oldName}}}})
	return nil
}

func ownerFrom(s *Server, u *User) object {
	if u.Type == "Organization" {
		return object{"organization": s.organizationJSON(u)}
	}
	return object{"user": s.userJSON(u)}
}

// Archive makes a repository read-only, or writable again.
func (s *Server) Archive(repo string, archived bool, actor string) error {
	return s.changeRepo(repo, actor, map[bool]string{true: "archived", false: "unarchived"}[archived], func(r *repository) { r.archived = archived })
}

// SetPrivate makes a repository private or public.
func (s *Server) SetPrivate(repo string, private bool, actor string) error {
	return s.changeRepo(repo, actor, map[bool]string{true: "privatized", false: "publicized"}[private], func(r *repository) { r.private = private })
}

// DeleteRepo deletes a repository; open pull requests are not closed first, as on GitHub.
func (s *Server) DeleteRepo(repo, actor string) error {
	return s.changeRepo(repo, actor, "deleted", func(r *repository) { r.deleted = true })
}

func (s *Server) changeRepo(repo, actor, action string, change func(*repository)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return err
	}
	change(r)
	r.updated = s.now()
	s.emitRepo("repository", action, r, s.user(actor), object{})
	if r.deleted {
		s.repos = slices.DeleteFunc(s.repos, func(other *repository) bool { return other == r })
		maps.DeleteFunc(s.moved, func(_ string, other *repository) bool { return other == r })
		return os.RemoveAll(r.dir)
	}
	return nil
}

// find is the repository of that full name, or nil. The caller holds s.mu.
func (s *Server) find(fullName string) *repository {
	for _, r := range s.repos {
		if strings.EqualFold(r.fullName(), fullName) {
			return r
		}
	}
	return nil
}

func (s *Server) mustFind(fullName string) (*repository, error) {
	if r := s.find(fullName); r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("repository %s: %w", fullName, ErrNotFound)
}

// lookup is mustFind for callers that do not hold s.mu.
func (s *Server) lookup(fullName string) (*repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mustFind(fullName)
}

// Repo is a repository as it stands.
type Repo struct {
	ID                int64
	Owner, Name       string
	DefaultBranch     string
	Private, Archived bool
	Dir               string // the bare repository
}

// Repository gives a repository by "owner/name".
func (s *Server) Repository(repo string) (Repo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.mustFind(repo)
	if err != nil {
		return Repo{}, err
	}
	return Repo{r.id, r.owner.Login, r.name, r.defaultBranch, r.private, r.archived, r.dir}, nil
}

// PushURL is where git pushes to, with the credentials of a person in it; what the person may do follows from the role.
func (s *Server) PushURL(repo, login string) string {
	return strings.Replace(s.URL(), "://", "://"+url.UserPassword(login, s.pushKey).String()+"@", 1) + "/" + repo + ".git"
}

func pathEscape(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// repoJSON is the full form, which satisfies every smaller schema.
func (s *Server) repoJSON(r *repository) object {
	full := r.fullName()
	page, api := s.base+"/"+full, s.apiURL("/repos/%s", full)
	open := 0
	for _, p := range r.pulls {
		if p.open() {
			open++
		}
	}
	visibility := "public"
	if r.private {
		visibility = "private"
	}
	o := object{
		"id": r.id, "node_id": nodeID("R", r.id), "name": r.name, "full_name": full, "owner": s.userJSON(r.owner),
		"private": r.private, "visibility": visibility, "html_url": page, "description": nil, "fork": r.parent != nil, "url": api,
		"git_url": strings.Replace(page, "http://", "git://", 1) + ".git", "ssh_url": "git@localhost:" + full + ".git",
		"clone_url": page + ".git", "svn_url": page, "mirror_url": nil, "homepage": nil, "language": nil, "license": nil,
		"forks_count": 0, "stargazers_count": 0, "watchers_count": 0, "size": 1, "default_branch": r.defaultBranch,
		"open_issues_count": open, "open_issues": open, "forks": 0, "watchers": 0, "subscribers_count": 0, "network_count": 0,
		"is_template": false, "topics": []string{}, "has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false,
		"has_downloads": true, "has_discussions": false, "archived": r.archived, "disabled": false, "allow_forking": true,
		"web_commit_signoff_required": false, "pushed_at": stamp(r.pushed), "created_at": stamp(r.created), "updated_at": stamp(r.updated),
	}
	if r.description != "" {
		o["description"] = r.description
	}
	for key, suffix := range repoURLs() {
		o[key] = api + suffix
	}
	return o
}

func repoURLs() map[string]string {
	return map[string]string{
		"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}",
		"branches_url": "/branches{/branch}", "collaborators_url": "/collaborators{/collaborator}", "comments_url": "/comments{/number}",
		"commits_url": "/commits{/sha}", "compare_url": "/compare/{base}...{head}", "contents_url": "/contents/{+path}",
		"contributors_url": "/contributors", "deployments_url": "/deployments", "downloads_url": "/downloads", "events_url": "/events",
		"forks_url": "/forks", "git_commits_url": "/git/commits{/sha}", "git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}",
		"issue_comment_url": "/issues/comments{/number}", "issue_events_url": "/issues/events{/number}", "issues_url": "/issues{/number}",
		"keys_url": "/keys{/key_id}", "labels_url": "/labels{/name}", "languages_url": "/languages", "merges_url": "/merges",
		"milestones_url": "/milestones{/number}", "notifications_url": "/notifications{?since,all,participating}", "pulls_url": "/pulls{/number}",
		"releases_url": "/releases{/id}", "stargazers_url": "/stargazers", "statuses_url": "/statuses/{sha}", "subscribers_url": "/subscribers",
		"subscription_url": "/subscription", "tags_url": "/tags", "teams_url": "/teams", "trees_url": "/git/trees{/sha}", "hooks_url": "/hooks",
	}
}
