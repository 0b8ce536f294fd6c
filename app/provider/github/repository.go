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

// Repository reads the project's owner, name and default branch by the repository's id, so that
// a rename or transfer is followed. archived: it is read-only.
func (a *App) Repository(ctx context.Context, p preview.Project) (current preview.Project, archived bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("repository %d", p.RepoID)
	r, _, err := a.client(p, scopeRead).Repositories.GetByID(ctx, p.RepoID)
	if err != nil {
		return p, false, classify(err, what)
	}
	if r.GetID() != p.RepoID || r.GetOwner().GetLogin() == "" || r.GetName() == "" {
		return p, false, fmt.Errorf("%s: GitHub answered with another repository", what)
	}
	p.Owner, p.Name, p.DefaultBranch = r.GetOwner().GetLogin(), r.GetName(), r.GetDefaultBranch()
	return p, r.GetArchived(), nil
}

// Role is what GitHub's role_name says of a person right now. Somebody without any standing, or
// unknown, is RoleNone; a custom role counts as the role that it is built on.
func (a *App) Role(ctx context.Context, p preview.Project, login string) (preview.Role, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("role of %s on %s", clip(login, 40), p.FullName())
	if login == "" || strings.ContainsAny(login, "/?#") {
		return preview.RoleNone, nil
	}
	client := a.client(p, scopeRead)
	request, err := client.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/collaborators/%s/permission",
		url.PathEscape(p.Owner), url.PathEscape(p.Name), url.PathEscape(login)), nil)
	if err != nil {
		return preview.RoleNone, classify(err, what)
	}
	var answer struct {
		RoleName   string  `json:"role_name"`
		Permission string  `json:"permission"`
		User       gh.User `json:"user"`
	}
	_, err = client.Do(ctx, request, &answer)
	switch err = classify(err, what); {
	case err == nil:
		return roleOf(answer.RoleName, answer.Permission), nil
	case preview.Classify(err) == preview.ClassNotFound && !isGone(err):
		return preview.RoleNone, nil
	}
	return preview.RoleNone, err
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
