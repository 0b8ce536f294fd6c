package demo

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/server"
)

// place is where the story's previews are made, and how one looks at them there from outside.
type place interface {
	// variables are what the server is told of it, standIns where it is not the real thing.
	variables() map[string]string
	standIns() server.StandIns
	// introduce says what it is, for a person.
	introduce() string
	// address is where the hosts of previews are served.
	address() string
	// parent is the connection string of the database that previews branch from.
	parent() preview.Secret
	// database is how the database of a preview calls itself.
	database(name string) string
	// found lists everything that previews are made of, each thing after a word that says what it is.
	found(ctx context.Context) ([]string, error)
	// made are the words of what there is of each preview, collected those of what is for Postman.
	made() []string
	collected() []string
	stop(ctx context.Context) error
}

// leaks looks for everything that a preview is made of and that should be gone.
func (w *world) leaks(ctx context.Context) ([]string, error) {
	found, err := w.place.found(ctx)
	source, sourceErr := w.files("source")
	found = append(found, source...)
	slices.Sort(found)
	return found, errors.Join(err, sourceErr)
}

// wantFound makes sure, while the preview is up, that looking finds what it looks for.
func (w *world) wantFound(ctx context.Context) error {
	found, err := w.place.found(ctx)
	if err != nil {
		return err
	}
	for _, kind := range w.place.made() {
		if len(withWord(found, kind)) == 0 {
			return fmt.Errorf("there is no %s of the preview", kind)
		}
	}
	return nil
}

// withWord are the things that begin with one of the words.
func withWord(found []string, words ...string) []string {
	var some []string
	for _, thing := range found {
		if slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(thing, word) }) {
			some = append(some, thing)
		}
	}
	return some
}

// machine is this machine with an embedded Postgres, workerd and files.
type machine struct {
	*world
	workerd string
}

func (m machine) variables() map[string]string {
	return map[string]string{"FLARESMITH_PARENTS": "main=" + parent, "FLARESMITH_PREVIEW_URL": "http://localhost:0", "FLARESMITH_WORKERD": m.workerd}
}

func (m machine) standIns() server.StandIns { return server.StandIns{} }

func (m machine) introduce() string {
	return fmt.Sprintf("Postgres database %q is the parent of every preview", parent)
}

func (m machine) address() string             { return strings.TrimPrefix(m.server.URL(), "http://") }
func (m machine) parent() preview.Secret      { return m.databaseURL(parent) }
func (m machine) database(name string) string { return name }

func (m machine) made() []string {
	kinds := []string{"database", "role", "file workers/", "file collections/"}
	if runtime.GOOS == "linux" {
		kinds = append(kinds, "process", "socket")
	}
	return kinds
}

func (m machine) collected() []string        { return []string{"file collections/"} }
func (m machine) stop(context.Context) error { return nil } // with the server
