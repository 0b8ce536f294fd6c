package secretscan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Mode says what is scanned.
type Mode string

// The modes.
const (
	Tree   Mode = "tree"   // the files of a folder; in a Git repository those that are tracked or could be
	Stdin  Mode = "stdin"  // one text from a stream
	Staged Mode = "staged" // what the next commit would bring
	Range  Mode = "range"  // what the commits of a range brought, merges compared with all their parents, and the messages of them and of the tag that it ends with

	History Mode = "history" // every file that a commit of any branch or tag holds, and the messages of all commits and tags
)

// Modes names them all, for help texts.
func Modes() string { return "tree, stdin, staged, range or history" }

// Request is one scan.
type Request struct {
	Mode  Mode
	Dir   string    // the folder; a repository or a part of one
	Range string    // for Range: "A..B"
	Input io.Reader // for Stdin
	Name  string    // for Stdin: the path that findings have; "stdin" if there is none
	// Baseline is the file of an earlier report; what it has is not reported again. "" is none.
	Baseline string
	// Cache is a folder of this package's own, for History: what an earlier scan saw is not scanned again. It
	// holds findings and commits, never a value, and must be writable only by those who may decide what is found.
	Cache string
	Now   time.Time // by which entries of the ignore file expire; zero: the time of the scan
	// Note hears what a reader of the findings should know, such as files that were not scanned, one call
	// at a time. It never hears a value.
	Note func(text string)

	more *more // findings than are kept
}

// ErrNotScanned is wrapped by errors that mean: this says nothing about whether there are secrets.
var ErrNotScanned = errors.New("not scanned")

// Scan finds secrets. The findings are sorted; an error means that not everything was scanned, and the
// findings are those made until then. A CutError means that there are more than the list holds.
func Scan(ctx context.Context, request Request) ([]Finding, error) {
	request.Note = oneAtATime(request.Note)
	if request.more == nil {
		request.more = newMore()
	}
	if request.Now.IsZero() {
		request.Now = time.Now()
	}
	var found []Finding
	ignores, err := readIgnores(request.Dir, request.Now)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	var known map[string]bool
	if request.Baseline != "" {
		if known, err = readBaseline(request.Baseline); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
		}
	}
	switch request.Mode {
	case Tree:
		found, err = scanTree(ctx, request)
	case Stdin:
		found, err = scanInput(request)
	case Staged:
		found, err = scanStaged(ctx, request)
	case History:
		found, err = scanCachedHistory(ctx, request)
		tags, tagsErr := scanHistoryTags(ctx, request)
		found, err = append(found, tags...), errors.Join(err, tagsErr)
	case Range:
		found, err = scanRange(ctx, request)
	default:
		err = fmt.Errorf("mode %q: want %s", request.Mode, Modes())
	}
	if request.Mode != Stdin {
		request.notePointers()
	}
	found = request.more.keep(found, request.more.inScan)
	if cut := request.more.error(); err == nil {
		err = cut
	} else {
		err = errors.Join(err, cut)
	}
	all := map[Mode]string{Tree: "the files as they are", History: "the history"}[request.Mode]
	if err != nil {
		all = ""
	}
	found = withoutIgnored(found, ignores, all, request.Note)
	found = withoutKnown(found, known, request.Note)
	sortFindings(found)
	return found, err
}

// searcher makes one for the scan.
func (r *Request) searcher() *searcher {
	s := newSearcher(defaultMatcher())
	s.note, s.more = r.Note, r.more
	return s
}

// notePointers tells of files that are not in the repository, since the last time.
func (r *Request) notePointers() {
	if n := r.more.pointers.Swap(0); n > 0 {
		r.Note(fmt.Sprintf("%d files are kept in Git LFS and were not scanned: their pointers were", n))
	}
}

// oneAtATime is a hearer of notes that several workers may call. hear may be nil.
func oneAtATime(hear func(string)) func(string) {
	if hear == nil {
		return func(string) {}
	}
	var mu sync.Mutex
	return func(text string) {
		mu.Lock()
		defer mu.Unlock()
		hear(text)
	}
}

// scanInput scans a stream as one text.
func scanInput(request Request) ([]Finding, error) {
	name := request.Name
	if name == "" {
		name = "stdin"
	}
	s := request.searcher()
	limit := maxWindow
	text, err := io.ReadAll(io.LimitReader(request.Input, maxWindow))
	if err == nil && isZip(text) {
		var more []byte
		more, err = io.ReadAll(io.LimitReader(request.Input, maxText-maxWindow))
		text, limit = append(text, more...), maxText
	}
	if err != nil {
		return nil, fmt.Errorf("%w: read the input: %w", ErrNotScanned, err)
	}
	if len(text) < limit {
		return s.file("the input", text, []string{name})
	}
	rest := &io.LimitedReader{R: request.Input, N: maxLarge}
	found, err := s.large("the input", io.MultiReader(bytes.NewReader(text), rest), []string{name}, request.Note)
	if rest.N == 0 {
		err = errors.Join(err, fmt.Errorf("%w: the input is larger than %d GiB", ErrNotScanned, maxLarge>>30))
	}
	return found, err
}

// eachOf gives every item that a source brings to work, on all processors, each with a searcher of its own.
// done gets what was found, one call at a time. Faults of single items do not end the scan: they are the
// error at its end.
func eachOf[T any](ctx context.Context, request Request, source func(ctx context.Context, give func(T) error) error,
	work func(*searcher, T) ([]Finding, error), done func(T, []Finding)) error {
	var mu sync.Mutex
	var faults []error
	next := make(chan T)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(next)
		return source(ctx, func(item T) error {
			select {
			case next <- item:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			var s *searcher // made for the first item: many scans have few
			for item := range next {
				if s == nil {
					s = request.searcher()
				}
				some, err := work(s, item)
				mu.Lock()
				if err != nil {
					faults = append(faults, err)
				}
				if len(some) > 0 {
					done(item, some)
				}
				mu.Unlock()
			}
			return nil
		})
	}
	err := group.Wait()
	return errors.Join(append(faults, err)...)
}
