package neon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// defaultLook is the wait before the first look at what goes on, and grows by half from look to look: a branch takes a
// second or two, and every look is a request of the account's limit.
const (
	defaultLook = 750 * time.Millisecond
	longestLook = 5 * time.Second
)

// wait waits for operations to end well. They run in their order, so the last one is looked at until it has ended.
func (p *Branches) wait(ctx context.Context, operations []operation) error {
	look := p.look
	for _, o := range slices.Backward(operations) {
		for !o.ended() {
			if err := pause(ctx, look); err != nil {
				return err
			}
			look = min(look+look/2, longestLook)
			now, err := p.api.operation(ctx, o.ID)
			if err != nil {
				return err
			}
			o = now
		}
		if err := o.failure(); err != nil {
			return err
		}
		if o.Status == statusFinished {
			return nil
		}
	}
	return nil
}

// settle waits until nothing goes on for a branch.
func (p *Branches) settle(ctx context.Context, id string) error {
	for {
		list, err := p.api.operations(ctx)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(list, func(o operation) bool { return o.Branch == id && !o.ended() })
		if at < 0 {
			return nil
		}
		if err := pause(ctx, p.look); err != nil {
			return err
		}
	}
}

// settled is a branch when nothing goes on for it. What Neon tells of the branch may come a moment after its operations have ended: who
// did not wait for that would reset it again, and come a moment too early again. Zero: there is none.
func (p *Branches) settled(ctx context.Context, id string) (branch, error) {
	const within = 15 * time.Second
	if err := p.settle(ctx, id); err != nil {
		return branch{}, err
	}
	for began := time.Now(); ; {
		list, err := p.api.branches(ctx, id)
		if err != nil {
			return branch{}, err
		}
		at := slices.IndexFunc(list, func(b branch) bool { return b.ID == id })
		if at < 0 {
			return branch{}, nil
		}
		if now := list[at]; !now.resetting() || time.Since(began) > within {
			return now, nil
		}
		if err := pause(ctx, p.look); err != nil {
			return branch{}, err
		}
	}
}

const statusFinished = "finished"

func (o operation) ended() bool {
	return slices.Contains([]string{statusFinished, "failed", "error", "cancelled", "skipped"}, o.Status)
}

// failure is why an operation did not do what it should. Neon may do better another time.
func (o operation) failure() error {
	switch o.Status {
	case "failed", "error", "cancelled":
		return preview.Transient(fmt.Errorf("neon's operation %s %s", o.Action, o.Status))
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
