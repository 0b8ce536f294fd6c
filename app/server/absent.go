package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/dashboard"
	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	// That there is none is taken for granted for this long.
	absentFresh = 2 * time.Second
	absentKept  = 1024
	// At most this many look-ups at once: made-up names can't take the database from the rest.
	absentLookups = 2
	absentTimeout = 2 * time.Second
)

// environmentNames is what absent reads.
type environmentNames interface {
	// EnvironmentByName is preview.ErrNotFound when there is none.
	EnvironmentByName(ctx context.Context, name string) (preview.Environment, error)
	// Queue is the place of each waiting preview of a project, from 1, by environment id.
	Queue(ctx context.Context, projectID string) (map[string]int, error)
	// Ledger lists what was begun for an environment and is not yet forgotten.
	Ledger(ctx context.Context, environmentID string) ([]preview.LedgerEntry, error)
}

// absent answers at the host names of previews that have no Worker: it says what became of them.
type absent struct {
	store  environmentNames
	suffix string // what follows the name in a host name, with the dot
	logger *slog.Logger
	now    func() time.Time
	slots  chan struct{}
	failed func(code, severity string) // told of each answer

	mu    sync.Mutex
	known map[string]fate
}

// fate is what became of a preview, and until when that is taken for granted.
type fate struct {
	status int
	after  int // seconds until asking again makes sense; 0: it does not
	problem
	title string
	until time.Time
}

func newAbsent(store environmentNames, domain string, logger *slog.Logger) *absent {
	return &absent{store: store, suffix: "." + domain, logger: logger, now: time.Now,
		failed: func(string, string) {}, slots: make(chan struct{}, absentLookups), known: map[string]fate{}}
}

// ServeHTTP answers a person with a page and a program with the error envelope.
func (a *absent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := uuid.NewString()
	f := a.fate(r.Context(), id, strings.TrimSuffix(hostOf(r), a.suffix))
	f.RequestID = id
	a.failed(f.Code, f.Severity)
	w.Header().Set("Vary", "Accept")
	w.Header().Set("Cache-Control", "no-store")
	if f.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.after))
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		refresh := f.after
		if r.Method != http.MethodGet {
			refresh = 0
		}
		dashboard.WriteNotice(w, f.status, dashboard.Notice{Title: f.title, Text: f.Message, Hint: f.Hint, Refresh: refresh})
		return
	}
	f.write(w, r, f.status)
}

// fate looks a name up for a request, in memory first.
func (a *absent) fate(ctx context.Context, requestID, name string) fate {
	environment, worker, ok := preview.SplitWorkerName(name)
	if !ok { // no name of ours, so that it costs no query
		return unknownFate(name)
	}
	if f, ok := a.remembered(name); ok {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, absentTimeout)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return busyFate(name)
	}
	f, err := a.lookUp(ctx, environment, worker)
	if err != nil {
		if ctx.Err() == nil {
			a.logger.WarnContext(ctx, "look up preview", slog.String("requestId", requestID), slog.String("environment", name), slog.Any("error", err))
		}
		return busyFate(name)
	}
	if f.after == 0 { // what changes by itself is looked up each time
		a.remember(name, f)
	}
	return f
}

func (a *absent) lookUp(ctx context.Context, environment, worker string) (fate, error) {
	e, err := a.store.EnvironmentByName(ctx, environment)
	if errors.Is(err, preview.ErrNotFound) {
		return unknownFate(preview.WorkerName(environment, worker)), nil
	}
	if err != nil {
		return fate{}, err
	}
	place := 0
	if e.State == preview.StateQueued {
		queue, err := a.store.Queue(ctx, e.ProjectID)
		if err != nil {
			return fate{}, err
		}
		place = queue[e.ID]
	}
	if e.GoodSHA == "" || e.State == preview.StateUpdating {
		return fateOf(e, place), nil
	}
	return a.fateOfWorker(ctx, e, worker)
}

// fateOfWorker says what became of a Worker in an environment that serves.
func (a *absent) fateOfWorker(ctx context.Context, e preview.Environment, worker string) (fate, error) {
	ledger, err := a.store.Ledger(ctx, e.ID)
	if err != nil {
		return fate{}, err
	}
	key := preview.Key{Kind: preview.KindWorker, Worker: worker}
	i := slices.IndexFunc(ledger, func(entry preview.LedgerEntry) bool { return entry.Key() == key })
	switch {
	case i < 0 && worker == "":
		return fateOf(e, 0), nil
	case i >= 0 && ledger[i].Place != "" && ledger[i].Place != onWorkerd:
		return gone(e.Name, "ENV_PREVIEW_MOVED", "This preview is elsewhere", "The operator moved it away from this machine.",
			"Open the link in the pull request's comment or check."), nil
	case i < 0:
		return unknownFate(preview.WorkerName(e.Name, worker)), nil
	case worker != "" && ledger[i].Outputs.URL == "": // never brought up
		return failedFate(e), nil
	}
	return fateOf(e, 0), nil
}

func (a *absent) remembered(name string) (fate, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := a.known[name]
	return f, ok && a.now().Before(f.until)
}

func (a *absent) remember(name string, f fate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= absentKept {
		clear(a.known)
	}
	f.until = a.now().Add(absentFresh)
	a.known[name] = f
}

func unknownFate(name string) fate {
	return gone(name, "ENV_PREVIEW_NOT_FOUND", "There is no preview here", "No preview answers at this address.",
		"Open the link in the pull request's comment or check.")
}

func busyFate(name string) fate {
	return pending(name, 2, "ENV_PREVIEW_UNKNOWN", "Nobody knows at the moment", "The server can't look up this preview now.", "Try again in some seconds.")
}

// fateOf says what became of an environment without a Worker. The host name is public: nothing of
// the pull request's content is said.
func fateOf(e preview.Environment, place int) fate {
	const again = "Push a commit, or comment /flaresmith preview on the pull request."
	switch {
	case e.Closed:
		return gone(e.Name, "ENV_PREVIEW_CLOSED", "This preview is closed", "Its pull request was closed, and the preview with it.", "Reopen the pull request to get it back.")
	case e.Held:
		return gone(e.Name, "ENV_PREVIEW_DESTROYED", "This preview was destroyed", "Somebody asked for that with a command.", "Comment /flaresmith preview on the pull request to get it back.")
	case e.ExpiredSHA != "":
		return gone(e.Name, "ENV_PREVIEW_EXPIRED", "This preview has expired", "Its time was up.", again)
	case e.State == preview.StateArchived:
		return gone(e.Name, "ENV_PREVIEW_NOT_FOUND", "There is no preview here", "This pull request has no preview.", "Its check says why.")
	case place > 0:
		f := pending(e.Name, 15, "ENV_PREVIEW_QUEUED", "This preview waits for a place",
			fmt.Sprintf("All places are taken; this preview is number %d in the queue.", place), "It starts by itself. Closing pull requests, or /flaresmith destroy on one, makes room.")
		f.Details = map[string]any{"position": place}
		return f
	case e.GoodSHA != "":
		return pending(e.Name, 2, "ENV_PREVIEW_STARTING", "This preview is starting", "Its Worker is being started.", "Try again in some seconds.")
	case e.State == preview.StateError, e.State == preview.StateFailed:
		return failedFate(e)
	}
	return pending(e.Name, 2, "ENV_PREVIEW_PROVISIONING", "This preview is being made", "It is not ready yet.", "Try again in some seconds; the pull request's check says how far it is.")
}

func failedFate(e preview.Environment) fate {
	f := gone(e.Name, "ENV_PREVIEW_FAILED", "This preview could not be made", "Something has to be repaired first.", "The pull request's check says what.")
	f.Severity = "error"
	return f
}

// gone is a fate that asking again does not change.
func gone(name, code, title, message, hint string) fate {
	return fate{status: http.StatusNotFound, title: title, problem: problem{Code: code, Message: message, Severity: "warn",
		RetryPolicy: retryNone, Hint: hint, Context: map[string]any{"preview": name}}}
}

// pending is a fate that changes by itself.
func pending(name string, after int, code, title, message, hint string) fate {
	return fate{status: http.StatusServiceUnavailable, after: after, title: title, problem: problem{Code: code, Message: message, Severity: "info",
		RetryPolicy: retrySafe, Hint: hint, Context: map[string]any{"preview": name}}}
}
