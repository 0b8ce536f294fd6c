package secretscan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Mode says what is scanned.
type Mode string

// The modes.
const (
	Tree   Mode = "tree"   // the files of a folder; in a Git repository those that are tracked or could be
	Stdin  Mode = "stdin"  // one text from a stream
	Staged Mode = "staged" // what the next commit would bring
	Range  Mode = "range"  // what the commits of a range brought, merges compared with all their parents
)

// Modes names them all, for help texts.
func Modes() string { return "tree or stdin" }

// Request is one scan.
type Request struct {
	Mode  Mode
	Dir   string    // the folder; a repository or a part of one
	Range string    // for Range: "A..B"
	Input io.Reader // for Stdin
	// Note hears what a reader of the findings should know, such as files that were not scanned. It may
	// be called from several goroutines at once. It never hears a value.
	Note func(text string)
}

// ErrNotScanned is wrapped by errors that mean: this says nothing about whether there are secrets.
var ErrNotScanned = errors.New("not scanned")

// Scan finds secrets. The findings are sorted; an error means that not everything was scanned, and the
// findings are those made until then.
func Scan(ctx context.Context, request Request) ([]Finding, error) {
	if request.Note == nil {
		request.Note = func(string) {}
	}
	var found []Finding
	var err error
	switch request.Mode {
	case Tree:
		found, err = scanTree(ctx, request)
	case Stdin:
		found, err = scanInput(request)
	default:
		err = fmt.Errorf("mode %q: want %s", request.Mode, Modes())
	}
	sortFindings(found)
	return found, err
}

// scanInput scans a stream as one text.
func scanInput(request Request) ([]Finding, error) {
	text, err := io.ReadAll(io.LimitReader(request.Input, maxText+1))
	if err != nil {
		return nil, fmt.Errorf("%w: read the input: %w", ErrNotScanned, err)
	}
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: the input is larger than %d MiB", ErrNotScanned, maxText>>20)
	}
	return newSearcher(defaultMatcher()).file("the input", text, []string{"stdin"})
}

// each gives every item to work, on all processors, each with a searcher of its own, and collects what
// it finds. Faults of single items do not end the scan: they are errors at its end.
func each[T any](ctx context.Context, items []T, work func(*searcher, T) ([]Finding, error)) ([]Finding, error) {
	var mu sync.Mutex
	var found []Finding
	var faults []error
	workers := min(runtime.GOMAXPROCS(0), len(items))
	next := make(chan T)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(next)
		for _, item := range items {
			select {
			case next <- item:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range workers {
		group.Go(func() error {
			s := newSearcher(defaultMatcher())
			for item := range next {
				some, err := work(s, item)
				mu.Lock()
				found = append(found, some...)
				if err != nil {
					faults = append(faults, err)
				}
				mu.Unlock()
			}
			return nil
		})
	}
	err := group.Wait()
	return found, errors.Join(append(faults, err)...)
}
