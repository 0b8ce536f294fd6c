package neon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// branch is what we read of a branch.
type branch struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	ParentID   string    `json:"parent_id"`
	State      string    `json:"current_state"`
	Pending    string    `json:"pending_state"`
	Default    bool      `json:"default"`
	Protected  bool      `json:"protected"`
	InitSource string    `json:"init_source"`
	ExpiresAt  time.Time `json:"expires_at"`
	ResetAt    time.Time `json:"last_reset_at"`
	// Restricted is what can't be done with it now: not empty for an anonymised branch, among others.
	Restricted []struct {
		Name string `json:"name"`
	} `json:"restricted_actions"`
	// annotation is what was given at creation.
	annotation map[string]string
}

// resetting reports whether a reset of the branch goes on, which its last one does not tell of before it has ended.
func (b branch) resetting() bool {
	const state = "resetting"
	return b.State == state || b.Pending == state
}

// operation is something that goes on at Neon.
type operation struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Action string `json:"action"`
	Error  string `json:"error"`
	Branch string `json:"branch_id"`
}

type role struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Method   string `json:"authentication_method"`
}

// passwordless reports whether Neon says that nobody logs in as the role with a password.
func (r role) passwordless() bool { return r.Method == "no_login" || r.Method == "oauth" }

type database struct {
	Name  string `json:"name"`
	Owner string `json:"owner_name"`
}

// endpoint is a branch's compute.
type endpoint struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Branch string `json:"branch_id"`
}

type annotation struct {
	Value map[string]string `json:"value"`
}

// created is the answer to a creation.
type created struct {
	Branch     branch      `json:"branch"`
	Endpoints  []endpoint  `json:"endpoints"`
	Operations []operation `json:"operations"`
	Roles      []role      `json:"roles"`
	Databases  []database  `json:"databases"`
	URIs       []struct {
		URI        string `json:"connection_uri"`
		Parameters struct {
			Database string `json:"database"`
			Role     string `json:"role"`
		} `json:"connection_parameters"`
	} `json:"connection_uris"`
}

// uri is the connection string of a database's owner, with the password that the branch began with.
func (c created) uri(d database) (string, error) {
	for _, u := range c.URIs {
		if u.Parameters.Database == d.Name && u.Parameters.Role == d.Owner {
			return u.URI, nil
		}
	}
	return "", preview.Transient(errors.New("neon's answer holds no connection string of the database's owner"))
}

// readWrite is the type of the one compute that a branch's own connection string leads to.
const readWrite = "read_write"

// creation is the request: a branch and its compute in one call.
type creation struct {
	Branch     creationBranch     `json:"branch"`
	Endpoints  []creationEndpoint `json:"endpoints"`
	Annotation map[string]string  `json:"annotation_value"`
}

type creationBranch struct {
	ParentID   string     `json:"parent_id"`
	Name       string     `json:"name"`
	InitSource string     `json:"init_source"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
}

type creationEndpoint struct {
	Type string `json:"type"`
}

// branches lists those whose name or id contains search, all pages of them.
func (c *client) branches(ctx context.Context, search string) ([]branch, error) {
	var all []branch
	const pages = 50
	cursor := ""
	for range pages {
		query := url.Values{"limit": {"100"}}
		if search != "" {
			query.Set("search", search)
		}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var answer struct {
			Branches    []branch              `json:"branches"`
			Annotations map[string]annotation `json:"annotations"`
			Pagination  struct {
				Next string `json:"next"`
			} `json:"pagination"`
		}
		if err := c.call(ctx, http.MethodGet, "/branches?"+query.Encode(), nil, &answer); err != nil {
			return nil, fmt.Errorf("list branches: %w", err)
		}
		for _, b := range answer.Branches {
			b.annotation = answer.Annotations[b.ID].Value
			all = append(all, b)
		}
		if cursor = answer.Pagination.Next; cursor == "" || len(answer.Branches) == 0 {
			return all, nil
		}
	}
	return nil, fmt.Errorf("list branches: more than %d pages", pages)
}

func (c *client) create(ctx context.Context, wish creation) (created, error) {
	var answer created
	err := c.call(ctx, http.MethodPost, "/branches", wish, &answer)
	return answer, err
}

// rename gives a branch another name and returns it as it is then, without its annotation.
func (c *client) rename(ctx context.Context, id, name string) (branch, error) {
	var answer struct {
		Branch branch `json:"branch"`
	}
	err := c.call(ctx, http.MethodPatch, "/branches/"+id, map[string]any{"branch": map[string]any{"name": name}}, &answer)
	return answer.Branch, err
}

func (c *client) delete(ctx context.Context, id string) error {
	err := c.call(ctx, http.MethodDelete, "/branches/"+id, nil, nil)
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

func (c *client) operation(ctx context.Context, id string) (operation, error) {
	var answer struct {
		Operation operation `json:"operation"`
	}
	err := c.call(ctx, http.MethodGet, "/operations/"+id, nil, &answer)
	return answer.Operation, err
}

// resetPassword gives a role another password and returns it.
func (c *client) resetPassword(ctx context.Context, id, name string) (preview.Secret, error) {
	var answer struct {
		Role role `json:"role"`
	}
	err := c.call(ctx, http.MethodPost, "/branches/"+id+"/roles/"+url.PathEscape(name)+"/reset_password", nil, &answer)
	if err == nil && answer.Role.Password == "" {
		err = preview.Transient(errors.New("neon's answer holds no password"))
	}
	return preview.Secret(answer.Role.Password), err
}

// masking is the state of an anonymised branch; for another one Neon answers 404.
func (c *client) masking(ctx context.Context, id string) (state string, err error) {
	var answer struct {
		State string `json:"state"`
	}
	err = c.call(ctx, http.MethodGet, "/branches/"+id+"/anonymized_status", nil, &answer)
	return answer.State, err
}

// restore makes a branch again from its parent.
func (c *client) restore(ctx context.Context, id, parent string) ([]operation, error) {
	var answer struct {
		Operations []operation `json:"operations"`
	}
	err := c.call(ctx, http.MethodPost, "/branches/"+id+"/restore", map[string]any{"source_branch_id": parent}, &answer)
	return answer.Operations, err
}

// expire sets when a branch goes by itself; nil: never.
func (c *client) expire(ctx context.Context, id string, at *time.Time) error {
	return c.call(ctx, http.MethodPatch, "/branches/"+id, map[string]any{"branch": map[string]any{"expires_at": at}}, nil)
}

func (c *client) operations(ctx context.Context) ([]operation, error) {
	var answer struct {
		Operations []operation `json:"operations"`
	}
	err := c.call(ctx, http.MethodGet, "/operations?limit=100", nil, &answer)
	return answer.Operations, err
}

func (c *client) roles(ctx context.Context, id string) ([]role, error) {
	var answer struct {
		Roles []role `json:"roles"`
	}
	err := c.call(ctx, http.MethodGet, "/branches/"+id+"/roles", nil, &answer)
	return answer.Roles, err
}

func (c *client) databases(ctx context.Context, id string) ([]database, error) {
	var answer struct {
		Databases []database `json:"databases"`
	}
	err := c.call(ctx, http.MethodGet, "/branches/"+id+"/databases", nil, &answer)
	return answer.Databases, err
}

// uri is the connection string of a role in a branch, with its present password.
func (c *client) uri(ctx context.Context, id string, d database) (preview.Secret, error) {
	query := url.Values{"branch_id": {id}, "database_name": {d.Name}, "role_name": {d.Owner}}
	var answer struct {
		URI string `json:"uri"`
	}
	err := c.call(ctx, http.MethodGet, "/connection_uri?"+query.Encode(), nil, &answer)
	return preview.Secret(answer.URI), err
}

// compute is the branch's read-write endpoint.
func (c *client) compute(ctx context.Context, id string) (endpoint, error) {
	var answer struct {
		Endpoints []endpoint `json:"endpoints"`
	}
	if err := c.call(ctx, http.MethodGet, "/branches/"+id+"/endpoints", nil, &answer); err != nil {
		return endpoint{}, fmt.Errorf("list computes: %w", err)
	}
	return computeIn(answer.Endpoints, id)
}

func computeIn(list []endpoint, id string) (endpoint, error) {
	for _, e := range list {
		if e.Type == readWrite && e.Branch == id {
			return e, nil
		}
	}
	return endpoint{}, fmt.Errorf("compute of the branch: %w", preview.ErrNotFound)
}

func (c *client) nameCompute(ctx context.Context, endpoint, name string) error {
	return c.call(ctx, http.MethodPatch, "/endpoints/"+endpoint, map[string]any{"endpoint": map[string]any{"name": name}}, nil)
}

// suspend ends a compute with all its sessions; the next connection starts it again.
func (c *client) suspend(ctx context.Context, endpoint string) error {
	return c.call(ctx, http.MethodPost, "/endpoints/"+endpoint+"/suspend", nil, nil)
}

// compareSchema is how the branch's schema differs from base's.
func (c *client) compareSchema(ctx context.Context, id, base, database string) (string, error) {
	query := url.Values{"base_branch_id": {base}, "db_name": {database}}
	var answer struct {
		Diff string `json:"diff"`
	}
	err := c.call(ctx, http.MethodGet, "/branches/"+id+"/compare_schema?"+query.Encode(), nil, &answer)
	return answer.Diff, err
}
