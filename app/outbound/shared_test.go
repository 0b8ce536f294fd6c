package outbound

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// meeting is a Shared in memory, which can be away.
type meeting struct {
	mu      sync.Mutex
	away    bool
	budgets map[string]*level
	failed  int
	until   time.Time
	trying  time.Time // till when one replica's call is awaited
}

type level struct {
	left float64
	at   time.Time
}

var errAway = errors.New("the database is away")

func (m *meeting) ask(fn func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return errAway
	}
	fn()
	return nil
}

func (m *meeting) leave(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func (m *meeting) Spend(_ context.Context, _ string, shares []Share) (spent Spent, err error) {
	err = m.ask(func() {
		now := time.Now()
		spent = Spent{At: now, OpenUntil: m.until}
		if m.until.After(now) {
			return
		}
		for _, s := range shares {
			b := m.budgets[s.Budget]
			if b == nil {
				b = &level{left: float64(s.Burst), at: now}
				m.budgets[s.Budget] = b
			}
			b.left, b.at = min(float64(s.Burst), b.left+s.PerSecond*now.Sub(b.at).Seconds())-float64(s.Units), now
			if at := now.Add(time.Duration(max(-b.left, 0) / s.PerSecond * float64(time.Second))); at.After(spent.At) {
				spent.At, spent.Budget = at, s.Budget
			}
		}
	})
	return spent, err
}

func (m *meeting) Return(_ context.Context, _ string, shares []Share) error {
	return m.ask(func() {
		for _, s := range shares {
			m.budgets[s.Budget].left += float64(s.Units)
		}
	})
}

func (m *meeting) State(context.Context, string) (state SharedState, err error) {
	err = m.ask(func() {
		state = SharedState{OpenUntil: m.until, Left: map[string]float64{}}
		for name, b := range m.budgets {
			state.Left[name] = b.left
		}
	})
	return state, err
}

func (m *meeting) Try(_ context.Context, _ string, within time.Duration) (turn Turn, err error) {
	err = m.ask(func() {
		switch {
		case m.until.IsZero():
			turn = TurnClosed
		case m.until.After(time.Now()):
			turn = TurnOpen
		case m.trying.After(time.Now()):
			turn = TurnOthers
		default:
			turn, m.trying = TurnOurs, time.Now().Add(within)
		}
	})
	return turn, err
}

func (m *meeting) Failed(_ context.Context, _ string, b Breaker) (until time.Time, err error) {
	err = m.ask(func() {
		m.failed++
		if !m.trying.IsZero() || m.failed >= b.Failures {
			m.until, m.trying = time.Now().Add(b.OpenFor), time.Time{}
		}
		until = m.until
	})
	return until, err
}

func (m *meeting) Tried(_ context.Context, _ string, worked bool) error {
	return m.ask(func() {
		m.trying = time.Time{}
		if worked {
			m.until, m.failed = time.Time{}, 0
		}
	})
}

// TestSharedBudget has two replicas call as often as they may, while the database goes and comes back: however they do, a
// window sees no more calls than the limit says.
func TestSharedBudget(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		quiet time.Duration // before the database is back, until ten seconds before
	}{
		{name: "busy all the time"},
		{name: "quiet while the database is away", quiet: 80 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { sharedBudget(t, tt.quiet) })
		})
	}
}

func sharedBudget(t *testing.T, quiet time.Duration) {
	t.Helper()
	const goes, comes, ends = 90 * time.Second, 3 * time.Minute, 5 * time.Minute
	m := &meeting{budgets: map[string]*level{}}
	provider := always(200)
	began := time.Now()
	var group sync.WaitGroup
	for range 2 {
		rt := New(Neon(), provider, Options{Shared: m})
		for range 3 {
			group.Go(func() {
				for at := time.Duration(0); at < ends; at = time.Since(began) {
					if at > goes && at < goes+quiet {
						time.Sleep(goes + quiet - at)
					}
					if _, err := send(rt, request(t.Context(), t, "GET", "")); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	time.Sleep(goes)
	m.leave(true)
	time.Sleep(comes - goes)
	m.leave(false)
	group.Wait()
	within := func(window time.Duration, from, to time.Duration) (most int) {
		at := slices.Clone(provider.at)
		slices.SortFunc(at, time.Time.Compare)
		for i, j := 0, 0; i < len(at); i++ {
			for at[i].Sub(at[j]) >= window {
				j++
			}
			if d := at[i].Sub(began); d >= from && d < to {
				most = max(most, i-j+1)
			}
		}
		return most
	}
	if minute, second := within(time.Minute, 0, ends), within(time.Second, 0, ends); minute > 700 || second > 40 {
		t.Errorf("a minute saw %d calls and a second %d, of 700 and 40", minute, second)
	}
	for name, most := range map[string]int{"before": within(time.Minute, 0, goes), "after": within(time.Minute, comes+time.Minute, ends)} {
		if most < 600 {
			t.Errorf("a minute %s the database was away saw only %d calls", name, most)
		}
	}
	if alone := within(time.Minute, goes, comes); quiet == 0 && alone < 300 {
		t.Errorf("a minute saw only %d calls while the database was away", alone)
	}
}

// TestSharedBreaker has a breaker open by the failures of two replicas, neither of which had enough of its own. Both say so.
func TestSharedBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &meeting{budgets: map[string]*level{}}
		provider := always(500)
		seen := []*record{{}, {}}
		var replicas []*Transport
		for i := range seen {
			replicas = append(replicas, New(Policy{Provider: "p"}, provider, Options{Shared: m, Observer: seen[i]}))
		}
		for i := range 10 {
			if got, err := send(replicas[i%2], request(t.Context(), t, "POST", "")); got != 500 {
				t.Fatal(err)
			}
		}
		var open *OpenError
		for _, rt := range replicas {
			if _, err := send(rt, request(t.Context(), t, "POST", "")); !errors.As(err, &open) || open.RetryAfter() != 30*time.Second {
				t.Fatal(err)
			}
		}
		states := func() (list []string) {
			for _, rt := range replicas {
				list = append(list, rt.Status()[0].Breaker)
			}
			return list
		}
		idle := New(Policy{Provider: "p"}, provider, Options{Shared: m}) // never called it
		if s, known := idle.StatusOf(t.Context(), ""); !known || s.Breaker != "open" || !s.OpenUntil.Equal(open.Until) {
			t.Errorf("a replica that did not call shows %+v", s)
		}
		if diff := cmp.Diff([]string{"open", "open"}, states()); diff != "" {
			t.Error(diff)
		}
		time.Sleep(31 * time.Second)
		if diff := cmp.Diff([]string{"half-open", "half-open"}, states()); diff != "" {
			t.Error(diff)
		}
		provider.mu.Lock()
		provider.answer = always(200).answer
		provider.mu.Unlock()
		for _, rt := range replicas {
			if got, err := send(rt, request(t.Context(), t, "POST", "")); got != 200 {
				t.Error(err)
			}
		}
		if diff := cmp.Diff([]string{"closed", "closed"}, states()); diff != "" {
			t.Error(diff)
		}
		for _, s := range seen {
			if diff := cmp.Diff([]string{"p/ closed to open", "p/ half-open to closed"}, s.changes); diff != "" {
				t.Error(diff)
			}
		}
		if provider.calls() != 12 {
			t.Errorf("%d calls", provider.calls())
		}
	})
}

// killed is a replica's Shared whose end nobody is told of.
type killed struct{ *meeting }

func (killed) Failed(context.Context, string, Breaker) (time.Time, error) {
	return time.Time{}, errAway
}

func (killed) Tried(context.Context, string, bool) error { return errAway }

// TestKilledWhileTrying has the replica end that tries an account for all. Another one tries it as soon as that call must have ended,
// however long the account's answers may take.
func TestKilledWhileTrying(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &meeting{budgets: map[string]*level{}, until: time.Now()}
		policy := Policy{Provider: "p", Timeout: 10 * time.Second, BodyTimeout: 5 * time.Minute}
		if got, err := send(New(policy, always(200), Options{Shared: killed{m}}), request(t.Context(), t, "GET", "")); got != 200 {
			t.Fatal(err)
		}
		other := New(policy, always(200), Options{Shared: m})
		var open *OpenError
		if _, err := send(other, request(t.Context(), t, "GET", "")); !errors.As(err, &open) {
			t.Errorf("while the call that tries may last: %v", err)
		}
		time.Sleep(time.Second)
		if got, err := send(other, request(t.Context(), t, "GET", "")); got != 200 {
			t.Errorf("afterwards: %v", err)
		}
	})
}
