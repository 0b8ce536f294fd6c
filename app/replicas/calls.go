// Package replicas lets the replicas of a server that share a database keep limits and circuit breakers
// together: what one has spent of an account's budget is spent for all, and an account that is broken for one
// is left alone by all. It implements outbound.Shared in two small tables, with one statement before a call and one
// after a call that failed. Time is the database's.
package replicas

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flaresmith/flaresmith/app/outbound"
)

// Calls implements outbound.Shared.
type Calls struct{ pool *pgxpool.Pool }

// New shares by the database of a pool, whose tables the migrations make.
func New(pool *pgxpool.Pool) *Calls { return &Calls{pool} }

// spend takes units unless the account is left alone. A budget that nobody has spent of is full. What is there is
// counted up to now; no clock of a row goes back.
const spend = `
WITH breaker AS (SELECT open_until FROM outside_breakers WHERE account = $1),
taken AS (
	INSERT INTO outside_budgets AS b (account, budget, burst, per_second, left_over, counted_at)
	SELECT $1, budget, burst, per_second, burst - units, clock_timestamp()
	FROM unnest($2::text[], $3::float8[], $4::float8[], $5::float8[]) AS share (budget, units, burst, per_second)
	WHERE NOT EXISTS (SELECT FROM breaker WHERE open_until > clock_timestamp())
	ORDER BY budget
	ON CONFLICT (account, budget) DO UPDATE SET burst = excluded.burst, per_second = excluded.per_second,
		left_over = LEAST(excluded.burst, b.left_over + excluded.per_second * GREATEST(0, extract(epoch FROM excluded.counted_at - b.counted_at)))
			- (excluded.burst - excluded.left_over),
		counted_at = GREATEST(b.counted_at, excluded.counted_at)
	RETURNING budget, GREATEST(0, -left_over / per_second) AS wait
)
SELECT (SELECT extract(epoch FROM open_until - clock_timestamp())::float8 FROM breaker), COALESCE(max(wait), 0)::float8,
	COALESCE((array_agg(budget ORDER BY wait DESC))[1], '')
FROM taken`

// Spend implements outbound.Shared.
func (c *Calls) Spend(ctx context.Context, account string, shares []outbound.Share) (outbound.Spent, error) {
	budgets, units := split(shares)
	bursts, rates := make([]float64, len(shares)), make([]float64, len(shares))
	for i, s := range shares {
		bursts[i], rates[i] = float64(s.Burst), s.PerSecond
	}
	var open *float64
	var wait float64
	var spent outbound.Spent
	if err := c.pool.QueryRow(ctx, spend, account, budgets, units, bursts, rates).Scan(&open, &wait, &spent.Budget); err != nil {
		return outbound.Spent{}, err
	}
	now := time.Now()
	spent.At, spent.OpenUntil = now.Add(seconds(wait)), moment(now, open)
	return spent, nil
}

// Return implements outbound.Shared.
func (c *Calls) Return(ctx context.Context, account string, shares []outbound.Share) error {
	budgets, units := split(shares)
	_, err := c.pool.Exec(ctx, `
UPDATE outside_budgets b SET left_over = LEAST(b.burst, left_over + share.units)
FROM unnest($2::text[], $3::float8[]) AS share (budget, units) WHERE b.account = $1 AND b.budget = share.budget`, account, budgets, units)
	return err
}

// State implements outbound.Shared.
func (c *Calls) State(ctx context.Context, account string) (outbound.SharedState, error) {
	rows, err := c.pool.Query(ctx, `
SELECT '', extract(epoch FROM open_until - clock_timestamp())::float8 FROM outside_breakers WHERE account = $1 AND open_until IS NOT NULL
UNION ALL
SELECT budget, LEAST(burst, left_over + per_second * GREATEST(0, extract(epoch FROM clock_timestamp() - counted_at)))::float8
FROM outside_budgets WHERE account = $1`, account)
	if err != nil {
		return outbound.SharedState{}, err
	}
	state := outbound.SharedState{Left: map[string]float64{}}
	var budget string
	var n float64
	_, err = pgx.ForEachRow(rows, []any{&budget, &n}, func() error {
		if budget == "" {
			state.OpenUntil = moment(time.Now(), &n)
		} else {
			state.Left[budget] = n
		}
		return nil
	})
	return state, err
}

// Try implements outbound.Shared.
func (c *Calls) Try(ctx context.Context, account string, within time.Duration) (outbound.Turn, error) {
	var ours, open bool
	err := c.pool.QueryRow(ctx, `
WITH before AS (SELECT account, open_until > clock_timestamp() AS open, open_until IS NULL AS closed,
		open_until <= clock_timestamp() AND (tried_till IS NULL OR tried_till <= clock_timestamp()) AS free
	FROM outside_breakers WHERE account = $1 FOR UPDATE),
taken AS (UPDATE outside_breakers b SET tried_till = clock_timestamp() + $2::float8 * interval '1 second'
	FROM before WHERE b.account = before.account AND before.free)
SELECT free, open FROM before WHERE NOT closed`, account, within.Seconds()).Scan(&ours, &open)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return outbound.TurnClosed, nil
	case err != nil:
		return 0, err
	case open:
		return outbound.TurnOpen, nil
	case ours:
		return outbound.TurnOurs, nil
	}
	return outbound.TurnOthers, nil
}

// failed counts a failure. The account is left alone after enough of them within the window, and again after one that had to
// try it; what failed while it is left alone was on its way before.
const failed = `
INSERT INTO outside_breakers AS b (account, failed_at, open_until)
VALUES ($1, ARRAY[clock_timestamp()], CASE WHEN $2 <= 1 THEN clock_timestamp() + $4::float8 * interval '1 second' END)
ON CONFLICT (account) DO UPDATE SET
	failed_at = b.failed_at[GREATEST(1, cardinality(b.failed_at) - $2 + 2):] || clock_timestamp(),
	open_until = CASE
		WHEN b.open_until > clock_timestamp() THEN b.open_until
		WHEN b.open_until IS NOT NULL OR $2 <= 1 OR cardinality(b.failed_at) >= $2 - 1
			AND b.failed_at[cardinality(b.failed_at) - $2 + 2] > clock_timestamp() - $3::float8 * interval '1 second'
		THEN clock_timestamp() + $4::float8 * interval '1 second' END,
	tried_till = CASE WHEN b.open_until > clock_timestamp() THEN b.tried_till END
RETURNING extract(epoch FROM open_until - clock_timestamp())::float8`

// Failed implements outbound.Shared.
func (c *Calls) Failed(ctx context.Context, account string, b outbound.Breaker) (time.Time, error) {
	var open *float64
	err := c.pool.QueryRow(ctx, failed, account, b.Failures, b.Window.Seconds(), b.OpenFor.Seconds()).Scan(&open)
	return moment(time.Now(), open), err
}

// Tried implements outbound.Shared.
func (c *Calls) Tried(ctx context.Context, account string, worked bool) error {
	statement := `UPDATE outside_breakers SET tried_till = NULL WHERE account = $1`
	if worked {
		statement = `DELETE FROM outside_breakers WHERE account = $1 AND open_until <= clock_timestamp()`
	}
	_, err := c.pool.Exec(ctx, statement, account)
	return err
}

func split(shares []outbound.Share) (budgets []string, units []float64) {
	budgets, units = make([]string, len(shares)), make([]float64, len(shares))
	for i, s := range shares {
		budgets[i], units[i] = s.Budget, float64(s.Units)
	}
	return budgets, units
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// moment is on this process's clock what is so many seconds away on the database's; nil is zero.
func moment(now time.Time, away *float64) time.Time {
	if away == nil {
		return time.Time{}
	}
	return now.Add(seconds(*away))
}
