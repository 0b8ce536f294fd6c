package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// handledKept is how long a handled delivery is kept. GitHub lists an attempt for three days, and the event of
// one that was attempted three days ago may be attempted again: until then its GUID must be known.
const handledKept = 7 * 24 * time.Hour

// missedTries is how often a missed delivery may fail before the others no longer wait for it.
const missedTries = 10

// Sweep is how far GitHub's list of deliveries was read.
type Sweep struct {
	Since     time.Time // what was attempted before is dealt with
	Cursor    string    // GitHub's: where an interrupted reading goes on; empty: none is under way
	NextSince time.Time // Since, once that reading is at its end
}

// Missed is a delivery that GitHub lists and we lack.
type Missed struct {
	GUID      string
	Event     string
	AttemptID int64     // GitHub's id of the newest attempt
	At        time.Time // of the first attempt
	Urgent    bool      // goes before all that are not
}

// Sweep returns how far the list was read.
func (s *Store) Sweep(ctx context.Context) (Sweep, error) {
	var w Sweep
	err := s.pool.QueryRow(ctx, `SELECT since, cursor, next_since FROM delivery_sweep`).Scan(&w.Since, &w.Cursor, &w.NextSince)
	if err != nil {
		return Sweep{}, fmt.Errorf("read delivery sweep: %w", classed(err))
	}
	return w, nil
}

// AdvanceSweep keeps what a page of the list had and how far the list is read now, together. It
// changes nothing and returns false when another server has read on since from was read.
func (s *Store) AdvanceSweep(ctx context.Context, from, to Sweep, missed []Missed) (moved bool, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE delivery_sweep SET since = $4, cursor = $5, next_since = $6
			WHERE since = $1 AND cursor = $2 AND next_since = $3`,
			from.Since, from.Cursor, from.NextSince, to.Since, to.Cursor, to.NextSince)
		if moved = tag.RowsAffected() == 1; err != nil || !moved || len(missed) == 0 {
			return err
		}
		return insertMissed(ctx, tx, missed)
	})
	if err != nil {
		return false, fmt.Errorf("advance delivery sweep: %w", err)
	}
	return moved, nil
}

// insertMissed leaves out what has arrived. Pages come newest first: of an event that has attempts on two of
// them, the later page tells when the first was.
func insertMissed(ctx context.Context, tx pgx.Tx, list []Missed) error {
	n := len(list)
	guids, events, ids := make([]string, n), make([]string, n), make([]int64, n)
	times, urgent := make([]time.Time, n), make([]bool, n)
	for i, m := range list {
		guids[i], events[i], ids[i], times[i], urgent[i] = m.GUID, m.Event, m.AttemptID, m.At, m.Urgent
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO missed_deliveries AS m (guid, event, attempt_id, attempted_at, urgent)
		SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::boolean[]) AS l (guid, event, attempt_id, attempted_at, urgent)
		WHERE NOT EXISTS (SELECT FROM deliveries d WHERE d.guid = l.guid)
		ON CONFLICT (guid) DO UPDATE SET attempt_id = GREATEST(m.attempt_id, excluded.attempt_id),
			attempted_at = LEAST(m.attempted_at, excluded.attempted_at)`, guids, events, ids, times, urgent)
	return err
}

// UnknownDeliveries returns those of the GUIDs that never arrived.
func (s *Store) UnknownDeliveries(ctx context.Context, guids []string) ([]string, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT guid FROM unnest($1::text[]) AS l (guid) WHERE NOT EXISTS (SELECT FROM deliveries d WHERE d.guid = l.guid)`, guids)
	if err != nil {
		return nil, fmt.Errorf("unknown deliveries: %w", classed(err))
	}
	unknown, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("unknown deliveries: %w", classed(err))
	}
	return unknown, nil
}

// MissedDeliveries returns the next ones, the urgent and then the oldest first, without those that have arrived
// meanwhile. One that failed many times comes after all others.
func (s *Store) MissedDeliveries(ctx context.Context, limit int) ([]Missed, error) {
	var list []Missed
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM missed_deliveries m USING deliveries d WHERE d.guid = m.guid`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT guid, event, attempt_id, attempted_at, urgent FROM missed_deliveries
			ORDER BY tries >= $2, urgent DESC, attempted_at, attempt_id LIMIT $1`, limit, missedTries)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Missed])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("missed deliveries: %w", err)
	}
	return list, nil
}

// ForgetMissed ends the search for a delivery: it is stored, or can't be had.
func (s *Store) ForgetMissed(ctx context.Context, guid string) error {
	if _, err := s.pool.Exec(ctx, `DELETE FROM missed_deliveries WHERE guid = $1`, guid); err != nil {
		return fmt.Errorf("forget missed delivery: %w", classed(err))
	}
	return nil
}

// FailMissed counts a failed try to get a delivery.
func (s *Store) FailMissed(ctx context.Context, guid string) error {
	if _, err := s.pool.Exec(ctx, `UPDATE missed_deliveries SET tries = tries + 1 WHERE guid = $1`, guid); err != nil {
		return fmt.Errorf("count try of missed delivery: %w", classed(err))
	}
	return nil
}

// PruneDeliveries deletes up to limit deliveries that were handled a week ago or earlier, and returns how many
// there were.
func (s *Store) PruneDeliveries(ctx context.Context, limit int) (int, error) {
	tag, err := s.pool.Exec(ctx, `
		DELETE FROM deliveries WHERE guid IN (
			SELECT guid FROM deliveries WHERE handled_at < now() - $1::interval ORDER BY handled_at LIMIT $2)`, handledKept, limit)
	if err != nil {
		return 0, fmt.Errorf("prune deliveries: %w", classed(err))
	}
	return int(tag.RowsAffected()), nil
}
