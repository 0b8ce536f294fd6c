package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/klauspost/compress/s2"
	"github.com/palantir/go-githubapp/githubapp"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/attribute"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

const (
	jobTimeout     = 2 * time.Minute  // of one job
	turn           = 10 * time.Second // after which a busy pull request lets others work; see store.RearmStaleWork
	handlerTimeout = 30 * time.Second // of one delivery
	markTimeout    = 5 * time.Second  // of recording what is handled, also when the job was stopped
	retryCap       = time.Minute      // between attempts: an outage ends within this
	unclassedTries = 5                // of an error that has no class
)

// work is the subset of the store that the worker uses.
type work interface {
	PendingDeliveries(ctx context.Context, repoID int64, pr int) (store.Pending, error)
	MarkHandled(ctx context.Context, repoID int64, pr int, list []store.Handled) error
	FinishWork(ctx context.Context, job *river.Job[store.DeliverArgs], seen int64, handled []store.Handled) (finished bool, err error)
	RearmStaleWork(ctx context.Context) (int, error)
}

// Worker hands the deliveries of one pull request to their handlers, in the order of their arrival.
type Worker struct {
	river.WorkerDefaults[store.DeliverArgs]

	store    work
	handlers map[string]githubapp.EventHandler
	observer Observer
	logger   *slog.Logger
}

// NewWorker makes a worker. Two handlers for one event are an error. Observer and logger may be nil.
func NewWorker(s work, handlers []githubapp.EventHandler, observer Observer, logger *slog.Logger) (*Worker, error) {
	if logger == nil {
		logger = slog.Default()
	}
	w := &Worker{store: s, handlers: map[string]githubapp.EventHandler{}, observer: observer, logger: logger}
	for _, h := range handlers {
		for _, event := range h.Handles() {
			if _, double := w.handlers[event]; double {
				return nil, fmt.Errorf("event %s has two handlers", event)
			}
			w.handlers[event] = h
		}
	}
	return w, nil
}

// Timeout implements river.Worker.
func (w *Worker) Timeout(*river.Job[store.DeliverArgs]) time.Duration { return jobTimeout }

// NextRetry implements river.Worker: 1 s, 2 s, 4 s … a minute, so that an outage of the database
// is over soon after it ended. When the attempts are used up, Rearm starts anew.
func (w *Worker) NextRetry(job *river.Job[store.DeliverArgs]) time.Time {
	return time.Now().Add(min(retryCap, time.Second<<min(max(job.Attempt-1, 0), 10)))
}

// Work implements river.Worker: it hands over what is pending, a page at a time. It returns nil only
// when the job is completed together with the counter, so that a delivery which arrives at any time
// finds either this job or none. After an error the delivery at hand and those behind it stay pending.
func (w *Worker) Work(ctx context.Context, job *river.Job[store.DeliverArgs]) error {
	end := time.Now().Add(turn)
	for {
		page, err := w.store.PendingDeliveries(ctx, job.Args.RepoID, job.Args.PR)
		if errors.Is(err, preview.ErrNotFound) {
			return river.JobCancel(err)
		}
		if err != nil {
			return err
		}
		handled, err := w.hand(ctx, page.Deliveries, job.Attempt)
		switch {
		case err != nil:
			return errors.Join(err, w.mark(ctx, job.Args, handled))
		case page.More:
			if err := w.mark(ctx, job.Args, handled); err != nil {
				return err
			}
			if time.Now().After(end) {
				return river.JobSnooze(0) // stays armed
			}
			continue
		}
		finished, err := w.store.FinishWork(ctx, job, page.Wanted, handled)
		if err != nil {
			return errors.Join(err, w.mark(ctx, job.Args, handled))
		}
		if finished {
			return nil
		}
		if time.Now().After(end) {
			return river.JobSnooze(0)
		}
	}
}

// hand gives deliveries to their handlers and returns those that need no more work. An error means
// that the next one must be tried again.
func (w *Worker) hand(ctx context.Context, list []store.Delivery, attempt int) ([]store.Handled, error) {
	handled := make([]store.Handled, 0, len(list))
	for _, d := range list {
		reason, err := w.settle(ctx, d, attempt)
		if err != nil {
			return handled, err
		}
		handled = append(handled, store.Handled{GUID: d.GUID, Seq: d.Seq, Error: reason})
	}
	return handled, nil
}

// mark records what is handled even when the job was stopped, so that a page makes progress.
func (w *Worker) mark(ctx context.Context, key store.DeliverArgs, handled []store.Handled) error {
	if len(handled) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTimeout)
	defer cancel()
	return w.store.MarkHandled(ctx, key.RepoID, key.PR, handled)
}

// settle runs one delivery and decides. It returns why the handler gave up, empty if it did not,
// or an error when the delivery must be tried again.
func (w *Worker) settle(ctx context.Context, d store.Delivery, attempt int) (reason string, again error) {
	start := time.Now()
	var failed error
	handler, known := w.handlers[d.Event]
	if !known {
		w.observe("other", "ignored", start)
		return "", nil
	}
	ctx, span := telemetry.Start(ctx, "delivery", attribute.String("event", d.Event), attribute.String("delivery", d.GUID),
		attribute.Int64("repo", d.RepoID), attribute.Int("pr", d.PR), attribute.Int64("installation", d.InstallationID))
	defer func() { telemetry.End(span, failed) }()
	log := w.logger.With("delivery", d.GUID, "event", d.Event, "repo", d.RepoID, "pr", d.PR, "installation", d.InstallationID)
	err := w.run(ctx, handler, d)
	failed = err
	switch {
	case err == nil:
		w.observe(d.Event, "done", start)
		return "", nil
	case ctx.Err() != nil: // stopping, or out of time: says nothing about the delivery
		return "", fmt.Errorf("delivery %s: %w", d.GUID, ctx.Err())
	case retry(err, attempt):
		w.observe(d.Event, "retry", start)
		return "", fmt.Errorf("delivery %s: %w", d.GUID, err)
	}
	reason = reasonOf(err)
	log.ErrorContext(ctx, "delivery failed for good", "reason", reason)
	w.observe(d.Event, "failed", start)
	return reason, nil
}

func (w *Worker) observe(event, outcome string, start time.Time) {
	if w.observer != nil {
		w.observer.Handled(event, outcome, time.Since(start))
	}
}

// errPayload is a stored payload that can't be read back.
var errPayload = errors.New("stored payload does not decompress")

func decompress(stored []byte) ([]byte, error) {
	if size, err := s2.DecodedLen(stored); err != nil || size > MaxBody {
		return nil, errPayload
	}
	payload, err := s2.Decode(nil, stored)
	if err != nil {
		return nil, errPayload
	}
	return payload, nil
}

// panicError is a handler that panicked. It keeps the value's type only: the value may quote the payload.
type panicError struct{ kind string }

func (e *panicError) Error() string { return "handler panicked with a " + e.kind }

func (w *Worker) run(ctx context.Context, handler githubapp.EventHandler, d store.Delivery) (err error) {
	payload, err := decompress(d.Payload)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, handlerTimeout)
	defer cancel()
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{kind: fmt.Sprintf("%T", value)}
			w.logger.ErrorContext(ctx, "handler panicked", "delivery", d.GUID, "event", d.Event, "stack", string(debug.Stack()))
		}
	}()
	return handler.Handle(ctx, d.Event, d.GUID, payload)
}

// retry reports whether another attempt may help. What has no class gets a few: it may be a
// passing trouble that nobody thought of, and must not stop its pull request for ever.
func retry(err error, attempt int) bool {
	var panicked *panicError
	switch {
	case errors.Is(err, errPayload), errors.As(err, &panicked):
		return false
	}
	switch preview.Classify(err) {
	case preview.ClassTransient:
		return true
	case preview.ClassPermanent:
		return attempt < unclassedTries
	}
	return false
}

// reasonOf says why a delivery failed in words of ours: the error's own text may quote the payload.
func reasonOf(err error) string {
	var panicked *panicError
	var invalid *preview.InvalidError
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, errPayload):
		return errPayload.Error()
	case errors.As(err, &panicked):
		return "panic: " + panicked.kind
	case errors.As(err, &invalid):
		return "invalid: " + invalid.What
	case errors.As(err, &pg):
		return "database: SQLSTATE " + pg.Code
	}
	return string(preview.Classify(err))
}

// Rearm starts a job for each pull request that was left without one. The server calls it each minute.
func (w *Worker) Rearm(ctx context.Context) error {
	n, err := w.store.RearmStaleWork(ctx)
	if err != nil {
		return err
	}
	if n > 0 {
		w.logger.WarnContext(ctx, "re-armed pull requests whose deliveries had no live job", "count", n)
	}
	return nil
}
