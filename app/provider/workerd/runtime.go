package workerd

import (
	"context"
	"errors"
	"net/http"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Runtime is the provider of preview.KindWorker on this machine, and the gateway to its Workers.
// It is safe for concurrent use; Close ends it.
type Runtime struct {
	config Config
}

var errTodo = errors.New("not yet written")

// New prepares the state folder and starts nothing.
func New(config Config) (*Runtime, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	return &Runtime{config: config}, nil
}

// Observe implements reconcile.Provider.
func (rt *Runtime) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	return preview.Observed{}, errTodo
}

// Apply implements reconcile.Provider.
func (rt *Runtime) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	return preview.Outputs{}, errTodo
}

// Delete implements reconcile.Provider.
func (rt *Runtime) Delete(ctx context.Context, r preview.Resource) error { return errTodo }

// List implements reconcile.Provider.
func (rt *Runtime) List(ctx context.Context) ([]preview.Found, error) { return nil, errTodo }

// ServeHTTP is the gateway.
func (rt *Runtime) ServeHTTP(w http.ResponseWriter, req *http.Request) {}

// Close stops every process.
func (rt *Runtime) Close(ctx context.Context) error { return nil }

// Logs gives the last lines that the preview of that name wrote.
func (rt *Runtime) Logs(name string) []LogLine { return nil }
