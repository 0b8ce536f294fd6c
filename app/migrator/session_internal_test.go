package migrator

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// Where a size can't be read nothing is run without a watch, nor with one that counts from nothing.
func TestGrowthIsWatchedOrNothingRuns(t *testing.T) {
	t.Parallel()
	const mb = int64(1) << 20
	unknown := errors.New("unknown")
	is := func(bytes int64) func(context.Context) (int64, error) {
		return func(context.Context) (int64, error) { return bytes, nil }
	}
	fails := func(context.Context) (int64, error) { return 0, unknown }
	tests := []struct {
		name   string
		growth Growth
		most   int64
		err    error
	}{
		{"a preview counts from its parent", Growth{Size: is(30 * mb), Base: is(10 * mb), LimitMB: 40}, 50 * mb, nil},
		{"of a large parent twice its size", Growth{Size: is(100 * mb), Base: is(100 * mb), LimitMB: 40}, 300 * mb, nil},
		{"a core environment counts from itself", Growth{Size: is(30 * mb), LimitMB: 100}, 130 * mb, nil},
		{"too large already", Growth{Size: is(51 * mb), Base: is(10 * mb), LimitMB: 40}, 0, errFull},
		{"size unknown", Growth{Size: fails, Base: is(mb), LimitMB: 40}, 0, unknown},
		{"parent's size unknown", Growth{Size: is(mb), Base: fails, LimitMB: 40}, 0, unknown},
	}
	for _, tt := range tests {
		most, err := tt.growth.most(t.Context())
		if most != tt.most || !errors.Is(err, tt.err) {
			t.Errorf("%s: %d bytes, %v", tt.name, most, err)
		}
		s := &Session{}
		if stop, watched := s.watchGrowth(t.Context(), tt.growth); (watched == nil) != (tt.err == nil) {
			t.Errorf("%s: watch: %v", tt.name, watched)
		} else if watched == nil {
			stop()
		}
	}
}

// Where the end takes so long that another watchdog wants it, too, what is told is what it was ended for.
func TestTheFirstWatchdogIsTold(t *testing.T) {
	t.Parallel()
	grows := func() (int64, error) { return 2 << 20, nil }
	fails := func() (int64, error) { return 0, errors.New("unknown") }
	tests := []struct {
		want  error
		after time.Duration // is the size so
		size  func() (int64, error)
	}{
		{errGrowth, 50 * time.Second, grows},
		{errBlind, 50 * time.Second, fails},
		{errTimeLimit, 70 * time.Second, grows},
		{errTimeLimit, 70 * time.Second, fails},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			s := &Session{limit: time.Minute, log: slog.New(slog.DiscardHandler), kill: func(context.Context, uint32) error {
				time.Sleep(time.Hour)
				return nil
			}}
			began := time.Now()
			s.watchTime(t.Context())
			stop, err := s.watchGrowth(t.Context(), Growth{LimitMB: 1, Size: func(context.Context) (int64, error) {
				if time.Since(began) < tt.after {
					return 0, nil
				}
				return tt.size()
			}})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Hour)
			stop()
			grew, _ := tt.size()
			if got := s.Cause(errors.New("gone")); !errors.Is(got, tt.want) || s.Overgrew() != (grew > 0) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// A size that never comes watches nothing: the session ends as where it can't be read.
func TestSizeThatNeverComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := false
		s := &Session{log: slog.New(slog.DiscardHandler), kill: func(context.Context, uint32) error {
			ended = true
			return nil
		}}
		looks := 0
		stop, err := s.watchGrowth(t.Context(), Growth{LimitMB: 1, Size: func(ctx context.Context) (int64, error) {
			if looks++; looks == 1 {
				return 0, nil
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		stop()
		if got := s.Cause(errors.New("gone")); !ended || !errors.Is(got, errBlind) {
			t.Errorf("ended: %t, %v", ended, got)
		}
	})
}
