package collection

import (
	"context"
	"errors"
	"log/slog"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Config says where the files go.
type Config struct {
	Dir    string       // folder of our own, made if missing; required
	Logger *slog.Logger // default: none
}

// Provider writes Postman collections and environments as files. It is safe for concurrent use.
type Provider struct{ config Config }

// New prepares the folder.
func New(config Config) (*Provider, error) {
	if config.Dir == "" {
		return nil, errors.New("collection: no folder is named")
	}
	return &Provider{config: config}, nil
}

var errTodo = errors.New("not yet written")

// Observe implements reconcile.Provider.
func (p *Provider) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	return preview.Observed{}, errTodo
}

// Apply implements reconcile.Provider.
func (p *Provider) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	return preview.Outputs{}, errTodo
}

// Delete implements reconcile.Provider.
func (p *Provider) Delete(ctx context.Context, r preview.Resource) error { return errTodo }

// List implements reconcile.Provider.
func (p *Provider) List(ctx context.Context) ([]preview.Found, error) { return nil, errTodo }
