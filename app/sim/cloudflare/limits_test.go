package cloudflare

import (
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var l limits
	for n := range perSecond {
		if _, ok := l.allow(now); !ok {
			t.Fatalf("request %d of a second is refused", n+1)
		}
	}
	if wait, ok := l.allow(now); ok || wait != time.Second {
		t.Errorf("more than %d in a second: %v %v", perSecond, wait, ok)
	}
	now = now.Add(time.Second)
	for n := perSecond + 1; n < perWindow; n++ { // what was refused counts, too
		now = now.Add(10 * time.Millisecond)
		if _, ok := l.allow(now); !ok {
			t.Fatalf("request %d of the window is refused", n+1)
		}
	}
	if wait, ok := l.allow(now); ok || wait != limitWindow {
		t.Errorf("more than %d in a window: %v %v", perWindow, wait, ok)
	}
	if _, ok := l.allow(now.Add(limitWindow - time.Second)); ok {
		t.Error("let in while nothing is")
	}
	if _, ok := l.allow(now.Add(limitWindow)); !ok {
		t.Error("refused after the wait")
	}
}
