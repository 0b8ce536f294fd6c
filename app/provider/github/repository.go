package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Repository reads the project's owner, name and default branch by the repository's id, so that a
// rename or transfer is followed, and what it is.
func (a *App) Repository(ctx context.Context, p preview.Project) (current preview.Project, state preview.RepositoryState, err error) {
	r, err := a.repository(ctx, p)
	if err != nil {
		return p, state, err
	}
	p.Owner, p.Name, p.DefaultBranch = r.GetOwner().GetLogin(), r.GetName(), r.GetDefaultBranch()
	return p, preview.RepositoryState{Archived: r.GetArchived() || r.GetDisabled(), Fork: r.GetFork()}, nil
}

func (a *App) repository(ctx context.Context, p preview.Project) (*gh.Repository, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("repository %d", p.RepoID)
	r, _, err := a.client(p, scopeRead).Repositories.GetByID(ctx, p.RepoID)
	if err != nil {
		return nil, classify(err, what)
	}
	if r.GetID() != p.RepoID || r.GetOwner().GetLogin() == "" || r.GetName() == "" {
		return nil, fmt.Errorf("%s: GitHub answered with another repository", what)
	}
	return r, nil
}

// Role is what GitHub's role_name says of a person right now. Somebody without any standing, or
// unknown, is RoleNone; a custom role counts as the role that it is built on.
func (a *App) Role(ctx context.Context, p preview.Project, login string) (preview.Role, error) {
	answer, err := a.permission(ctx, p, login)
	return roleOf(answer.RoleName, answer.Permission), err
}

// Standing is what the owner of a login is on the repository right now. The repository is asked
// for first, by its id: GitHub says "read" of everybody where it is public.
func (a *App) Standing(ctx context.Context, p preview.Project, login string) (preview.Standing, error) {
	current, err := a.repository(ctx, p)
	if err != nil {
		return preview.Standing{}, err
	}
	p.Owner, p.Name = current.GetOwner().GetLogin(), current.GetName()
	answer, err := a.permission(ctx, p, login)
	if err != nil {
		return preview.Standing{}, err
	}
	s := preview.Standing{UserID: answer.User.GetID(), Role: roleOf(answer.RoleName, answer.Permission)}
	// A custom role built on read or triage is folded into read: nobody gets more than they have.
	s.Everybody = s.Role == preview.RoleViewer && !current.GetPrivate() && !strings.EqualFold(answer.RoleName, "triage")
	return s, nil
}

// permission is GitHub's answer about one person on one repository.
type permission struct {
	RoleName   string  `json:"role_name"`
	Permission string  `json:"permission"`
	User       gh.User `json:"user"`
}

// permission of a login that is nobody's is empty.
func (a *App) permission(ctx context.Context, p preview.Project, login string) (permission, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("role of %s on %s", clip(login, 40), p.FullName())
	if login == "" || strings.ContainsAny(login, "/?#") {
		return permission{}, nil
	}
	client := a.client(p, scopeRead)
	request, err := client.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/collaborators/%s/permission",
		url.PathEscape(p.Owner), url.PathEscape(p.Name), url.PathEscape(login)), nil)
	if err != nil {
		return permission{}, classify(err, what)
	}
	var answer permission
	_, err = client.Do(ctx, request, &answer)
	switch err = classify(err, what); {
	case err == nil:
		return answer, nil
	case preview.Classify(err) == preview.ClassNotFound && !isGone(err):
		return permission{}, nil
	}
	return permission{}, err
}

// roleOf reads role_name, and permission where role_name is an organisation's own role: that
// folds maintain into write, so nobody gets more than they have.
func roleOf(roleName, permission string) preview.Role {
	for _, name := range []string{roleName, permission} {
		switch strings.ToLower(name) {
		case "admin":
			return preview.RoleOwner
		case "maintain":
			return preview.RoleMaintainer
		case "write":
			return preview.RoleContributor
		case "triage", "read":
			return preview.RoleViewer
		case "none":
			return preview.RoleNone
		}
	}
	return preview.RoleNone
}
