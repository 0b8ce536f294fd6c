package inbox_test

import (
	"context"
	"testing"

	"github.com/flaresmith/flaresmith/app/inbox"
	"github.com/flaresmith/flaresmith/app/store"
)

// deliveries is the store's part that a scheduler uses.
type deliveries interface {
	InsertDeliveries(ctx context.Context, list []store.Delivery) (stored int, err error)
}

// running is a scheduler that works until the test ends.
func running(tb testing.TB, s deliveries) *inbox.Scheduler {
	tb.Helper()
	scheduler, err := inbox.NewScheduler(s)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		scheduler.Run(ctx)
	}()
	tb.Cleanup(func() {
		cancel()
		<-ended
	})
	return scheduler
}
