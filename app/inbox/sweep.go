package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/palantir/go-githubapp/githubapp"
	"github.com/riverqueue/river"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/store"
)

// SweepEvery is how often GitHub's list of deliveries is read.
const SweepEvery = 5 * time.Minute

const (
	sweepTurn = 10 * time.Second // after which no new call is made; the rest is another turn's
	// settle is how long a failed attempt is left alone: its delivery may be on its way into the store.
	settle = 5 * time.Second
	// failedAgain is the wait after a failure. A delivery that GitHub does not give fails often enough for the
	// others to go on without it within a few minutes.
	failedAgain = 20 * time.Second
	// overlap is read again each time: an attempt may come into the list late, and out of order.
	overlap = 10 * time.Minute
	// kept is how long GitHub lists an attempt.
	kept       = 3 * 24 * time.Hour
	missedRows = 50   // read from the store at a time
	pruneRows  = 1000 // deleted in one statement
)

// deliveryLog is GitHub's memory of what it tried to deliver.
type deliveryLog interface {
	// Deliveries returns a page of attempts, newest first, and the cursor of the next; empty: none.
	Deliveries(ctx context.Context, cursor string) (page []preview.Attempt, next string, err error)
	// DeliveryPayload is preview.ErrNotFound when GitHub has the attempt no more.
	DeliveryPayload(ctx context.Context, attemptID int64) ([]byte, error)
}

// missed is the subset of the store that the sweeper uses.
type missed interface {
	Sweep(ctx context.Context) (store.Sweep, error)
	AdvanceSweep(ctx context.Context, from, to store.Sweep, missed []store.Missed) (moved bool, err error)
	UnknownDeliveries(ctx context.Context, guids []string) ([]string, error)
	MissedDeliveries(ctx context.Context, limit int) ([]store.Missed, error)
	ForgetMissed(ctx context.Context, guid string) error
	FailMissed(ctx context.Context, guid string) error
	PruneDeliveries(ctx context.Context, limit int) (int, error)
}

// SweepConfig is what a Sweeper needs.
type SweepConfig struct {
	Store     missed
	GitHub    deliveryLog
	Scheduler *Scheduler // stores what was missed, the same way as what arrives
	// Events are looked for, others are not. Those that are true are fetched before all others, so that what
	// ends the life of a command is known before the command.
	Events   map[string]bool
	Observer Observer         // nil: nobody
	Logger   *slog.Logger     // nil: slog.Default()
	Now      func() time.Time // nil: time.Now
}

// Sweeper finds the deliveries that did not arrive, as while the server was down, and stores them as
// if they had. GitHub does not send them again by itself, and may not reach us when asked to, so they are
// fetched. Our own table says what arrived: GitHub's word that something was delivered does not
// survive a restored database.
//
// First the list is read, newest first, back to where the last complete reading began; what is missing is
// written down together with each page. Only then is it fetched, in the order in which it
// happened. Both go on where they were interrupted, and what a reading found is fetched before another begins,
// unless that is due.
type Sweeper struct {
	river.WorkerDefaults[store.SweepArgs]
	SweepConfig
}

// NewSweeper makes a sweeper.
func NewSweeper(c SweepConfig) *Sweeper {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Sweeper{SweepConfig: c}
}

// Work implements river.Worker. A job that is not done, or failed for a while only, comes again, until the
// next one is due.
func (s *Sweeper) Work(ctx context.Context, job *river.Job[store.SweepArgs]) error {
	done, err := s.Sweep(ctx)
	wait := settle
	var transient *preview.TransientError
	switch {
	case errors.As(err, &transient):
		wait = max(transient.After, failedAgain)
	case err != nil || done:
		return err
	}
	if s.Now().Add(wait).Sub(job.CreatedAt) >= SweepEvery {
		return err
	}
	if err != nil {
		s.Logger.WarnContext(ctx, "look for deliveries that did not arrive", "error", err, "againIn", wait)
	}
	return river.JobSnooze(wait)
}

// Sweep takes one turn. It returns false when something is left that should not wait for the next job.
// It also deletes deliveries that nobody needs any more.
func (s *Sweeper) Sweep(ctx context.Context) (done bool, err error) {
	end := s.Now().Add(sweepTurn)
	done, err = s.turn(ctx, end)
	return done, errors.Join(err, s.prune(ctx, end))
}

// turn fetches what the last reading found before it reads again: each turn of a long backlog would else begin
// with the same pages, which take its time and are paid for out of the App's calls.
func (s *Sweeper) turn(ctx context.Context, end time.Time) (done bool, err error) {
	at, err := s.Store.Sweep(ctx)
	if err != nil {
		return false, err
	}
	if at.Cursor == "" && s.Now().Before(at.Since.Add(overlap+SweepEvery)) { // the last reading is complete, and not old
		if empty, err := s.fetch(ctx, end); err != nil || !empty {
			return false, err
		}
	}
	complete, young, err := s.read(ctx, end)
	if err != nil || !complete {
		return false, err
	}
	empty, err := s.fetch(ctx, end)
	return empty && !young, err
}

// read reads the list on. It returns whether it came to its end, and whether it left something alone
// that is too young.
func (s *Sweeper) read(ctx context.Context, end time.Time) (complete, young bool, err error) {
	at, err := s.Store.Sweep(ctx)
	if err != nil {
		return false, false, err
	}
	for {
		to := store.Sweep{Since: at.Since, NextSince: at.NextSince}
		if at.Cursor == "" { // a reading begins
			to.NextSince = latest(at.Since, s.Now().Add(-overlap))
		}
		page, next, err := s.GitHub.Deliveries(ctx, at.Cursor)
		if err != nil {
			return false, young, errors.Join(err, s.giveUp(ctx, at, err))
		}
		list, more := missing(page, s.Events, latest(at.Since, s.Now().Add(-kept)))
		list, left, err := s.unknown(ctx, list)
		if err != nil {
			return false, young, err
		}
		young = young || left
		if complete = next == "" || !more; complete {
			to.Since = to.NextSince
		} else {
			to.Cursor = next
		}
		moved, err := s.Store.AdvanceSweep(ctx, at, to, list)
		switch {
		case err != nil:
			return false, young, err
		case !moved: // another server reads, and will fetch what it finds
			return false, false, nil
		case complete || s.Now().After(end):
			return complete, young, nil
		}
		at = to
	}
}

// giveUp lets the next reading begin at the start of the list when GitHub refuses the cursor where this one
// was to go on.
func (s *Sweeper) giveUp(ctx context.Context, at store.Sweep, err error) error {
	if at.Cursor == "" || ctx.Err() != nil || preview.Classify(err) == preview.ClassTransient {
		return nil
	}
	_, err = s.Store.AdvanceSweep(ctx, at, store.Sweep{Since: at.Since, NextSince: at.NextSince}, nil)
	return err
}

// missing groups the attempts of a page that were not before since, by their GUID, and leaves out events
// that are not looked for. more is false when everything on the page is older.
func missing(page []preview.Attempt, events map[string]bool, since time.Time) (list []store.Missed, more bool) {
	place := map[string]int{}
	for _, a := range page {
		if a.At.Before(since) {
			continue
		}
		more = true
		urgent, wanted := events[a.Event]
		if !wanted || !validDeliveryID(a.GUID) {
			continue
		}
		i, known := place[a.GUID]
		if !known {
			place[a.GUID] = len(list)
			list = append(list, store.Missed{GUID: a.GUID, Event: a.Event, AttemptID: a.ID, At: a.At, Urgent: urgent})
			continue
		}
		list[i].AttemptID = max(list[i].AttemptID, a.ID)
		if a.At.Before(list[i].At) {
			list[i].At = a.At
		}
	}
	return list, more
}

// unknown leaves out what has arrived, and what was attempted so lately that it may be about to.
func (s *Sweeper) unknown(ctx context.Context, list []store.Missed) (unknown []store.Missed, young bool, err error) {
	if len(list) == 0 {
		return nil, false, nil
	}
	guids := make([]string, len(list))
	for i, m := range list {
		guids[i] = m.GUID
	}
	never, err := s.Store.UnknownDeliveries(ctx, guids)
	if err != nil {
		return nil, false, err
	}
	for _, m := range list {
		switch {
		case !slices.Contains(never, m.GUID):
		case !m.Urgent && m.At.After(s.Now().Add(-settle)):
			young = true
		default:
			unknown = append(unknown, m)
		}
	}
	return unknown, young, nil
}

// fetch stores what is missing, in order, until nothing is left, which it returns, or the turn is over.
func (s *Sweeper) fetch(ctx context.Context, end time.Time) (empty bool, err error) {
	stored, lost := 0, 0
	defer func() {
		if stored+lost > 0 {
			s.Logger.WarnContext(ctx, "fetched deliveries that had not arrived", "stored", stored, "lost", lost)
		}
	}()
	for {
		list, err := s.Store.MissedDeliveries(ctx, missedRows)
		if err != nil || len(list) == 0 {
			return err == nil, err
		}
		for _, m := range list {
			if s.Now().After(end) {
				return false, nil
			}
			found, err := s.redeliver(ctx, m)
			switch {
			case err != nil:
				return false, err
			case found:
				stored++
			default:
				lost++
			}
		}
	}
}

// redeliver stores one delivery. It returns false when it can't be had any more.
func (s *Sweeper) redeliver(ctx context.Context, m store.Missed) (found bool, err error) {
	payload, err := s.payload(ctx, m)
	if err == nil {
		err = s.Scheduler.schedule(ctx, githubapp.Dispatch{EventType: m.Event, DeliveryID: m.GUID, Payload: payload}, m.At)
		if err != nil && !refused(err) { // our own trouble says nothing about the delivery
			return false, preview.Transient(fmt.Errorf("store delivery %s: %w", m.GUID, err))
		}
	}
	switch {
	case err == nil:
		s.observe(m.Event, "stored")
		return true, s.Store.ForgetMissed(ctx, m.GUID)
	case ctx.Err() != nil: // stopping, too
		return false, err
	case errors.Is(err, preview.ErrNotFound), m.At.Before(s.Now().Add(-kept)):
		s.Logger.ErrorContext(ctx, "a delivery that had not arrived is lost", "delivery", m.GUID, "event", m.Event, "error", err)
		s.observe(m.Event, "lost")
		return false, s.Store.ForgetMissed(ctx, m.GUID)
	}
	err = fmt.Errorf("delivery %s: %w", m.GUID, err)
	var transient *preview.TransientError
	if errors.As(err, &transient) && transient.After > 0 { // GitHub takes no calls at all now
		return false, err
	}
	return false, errors.Join(err, s.Store.FailMissed(ctx, m.GUID))
}

// payload gets a delivery from GitHub. What it has of GitHub needs no signature: it came over the App's own
// connection.
func (s *Sweeper) payload(ctx context.Context, m store.Missed) ([]byte, error) {
	raw, err := s.GitHub.DeliveryPayload(ctx, m.AttemptID)
	if err != nil {
		return nil, err
	}
	payload, ok := payloadOf(raw, false)
	if !ok || len(payload) > MaxBody {
		return nil, fmt.Errorf("its payload is no JSON object of at most 25 MB: %w", preview.ErrNotFound)
	}
	return payload, nil
}

func (s *Sweeper) observe(event, outcome string) {
	if s.Observer != nil {
		s.Observer.Redelivered(event, outcome)
	}
}

// prune deletes in small steps, so that nothing waits for it for long.
func (s *Sweeper) prune(ctx context.Context, end time.Time) error {
	for {
		n, err := s.Store.PruneDeliveries(ctx, pruneRows)
		if err != nil || n < pruneRows || s.Now().After(end) {
			return err
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
