package postgres

import (
	"context"
	"errors"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Schema is the provider of KindSchema: migrations, seed and schema difference of a branch.
type Schema struct{ server *Server }

// applied is one row of bookkeeping.
type applied struct{}

// Observe implements the reconciler's Provider.
func (p *Schema) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	return preview.Observed{}, errors.New("not yet")
}

// Apply implements the reconciler's Provider.
func (p *Schema) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	return preview.Outputs{}, errors.New("not yet")
}

// Delete does nothing: the schema goes with its database.
func (p *Schema) Delete(_ context.Context, r preview.Resource) error { return checkName(r) }

// List finds nothing: a schema is part of its database.
func (p *Schema) List(context.Context) ([]preview.Found, error) { return nil, nil }
