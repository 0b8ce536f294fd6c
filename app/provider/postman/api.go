package postman

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/flaresmith/flaresmith/app/postmanfile"
	"github.com/flaresmith/flaresmith/app/preview"
)

// object is a JSON object of a collection.
type object = map[string]any

// reference names a collection or an environment of a workspace.
type reference struct {
	UID  string `json:"uid"` // of the owner's id and its own: a path of the API
	Name string `json:"name"`
}

// variable is one value of an environment as Postman keeps it.
type variable struct {
	postmanfile.Variable

	Description string `json:"description,omitempty"`
}

// workspace lists all collections and environments of the workspace, with one request.
func (c *client) workspace(ctx context.Context, id string) (collections, environments []reference, err error) {
	var answer struct {
		Workspace *struct {
			Collections  []reference `json:"collections"`
			Environments []reference `json:"environments"`
		} `json:"workspace"`
	}
	if err := c.call(ctx, http.MethodGet, "/workspaces/"+url.PathEscape(id), nil, &answer); err != nil {
		return nil, nil, fmt.Errorf("workspace: %w", err)
	}
	if answer.Workspace == nil {
		return nil, nil, preview.Transient(errors.New("postman's answer holds no workspace"))
	}
	return answer.Workspace.Collections, answer.Workspace.Environments, nil
}

// environment is the values of an environment.
func (c *client) environment(ctx context.Context, uid string) ([]variable, error) {
	var answer struct {
		Environment struct {
			Values []variable `json:"values"`
		} `json:"environment"`
	}
	err := c.call(ctx, http.MethodGet, "/environments/"+url.PathEscape(uid), nil, &answer)
	return answer.Environment.Values, err
}

// createEnvironment gives the new environment's uid.
func (c *client) createEnvironment(ctx context.Context, workspace, name string, values []variable) (string, error) {
	var answer struct {
		Environment reference `json:"environment"`
	}
	err := c.call(ctx, http.MethodPost, "/environments?workspace="+url.QueryEscape(workspace), environmentBody(name, values), &answer)
	return answer.Environment.UID, err
}

func (c *client) putEnvironment(ctx context.Context, uid, name string, values []variable) error {
	return c.call(ctx, http.MethodPut, "/environments/"+url.PathEscape(uid), environmentBody(name, values), nil)
}

func environmentBody(name string, values []variable) any {
	return object{"environment": object{"name": name, "values": values}}
}

func (c *client) collection(ctx context.Context, uid string) (object, error) {
	var answer struct {
		Collection object `json:"collection"`
	}
	if err := c.call(ctx, http.MethodGet, "/collections/"+url.PathEscape(uid), nil, &answer); err != nil {
		return nil, err
	}
	if answer.Collection == nil {
		return nil, preview.Transient(errors.New("postman's answer holds no collection"))
	}
	return answer.Collection, nil
}

// createCollection gives the new collection's uid.
func (c *client) createCollection(ctx context.Context, workspace string, body object) (string, error) {
	var answer struct {
		Collection reference `json:"collection"`
	}
	err := c.call(ctx, http.MethodPost, "/collections?workspace="+url.QueryEscape(workspace), object{"collection": body}, &answer)
	if err == nil && answer.Collection.UID == "" {
		err = preview.Transient(errors.New("postman's answer holds no id"))
	}
	return answer.Collection.UID, err
}

func (c *client) putCollection(ctx context.Context, uid string, body object) error {
	return c.call(ctx, http.MethodPut, "/collections/"+url.PathEscape(uid), object{"collection": body}, nil)
}

// remove deletes what a path names; what is gone already is no error.
func (c *client) remove(ctx context.Context, path string) error {
	err := c.call(ctx, http.MethodDelete, path, nil, nil)
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}
