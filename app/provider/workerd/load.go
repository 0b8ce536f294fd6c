package workerd

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// A process counts as busy while it is busyParts of busyWhole of the time.
const (
	busyParts = 9
	busyWhole = 10
	// How often a limit's time is looked at, and a busy process asked for a sign of life.
	looksPerLimit = 6
)

// effort is what the thread that runs a Worker's code took of the processors so far.
type effort struct {
	computed time.Duration
	waited   time.Duration // while others computed
}

// stretch is the time since somebody last paused.
type stretch struct {
	since time.Time
	spent time.Duration // until then
}

// lasted is how long there was no pause. It begins anew if not nearly all of that time was spent.
func (s *stretch) lasted(spent time.Duration, now time.Time) time.Duration {
	if spent-s.spent < now.Sub(s.since)*busyParts/busyWhole {
		s.since, s.spent = now, spent
	}
	return now.Sub(s.since)
}

// load judges a process that computes. It is stuck when it would have computed without a pause for a limit, as far as
// others let it, and gave no sign of life meanwhile: on a full machine a Worker with requests to answer is
// always about to compute, too, but it answers. One that answers is left alone until it used nearly all that a
// processor gives for a far longer time: nothing that people look at does, and others need the processor.
type load struct {
	busyLimit, computeLimit time.Duration

	next      time.Time
	without   stretch // pause, waiting for a processor not being one, or sign of life
	computing stretch
}

func newLoad(now time.Time, busyLimit, computeLimit time.Duration) *load {
	return &load{busyLimit: busyLimit, computeLimit: computeLimit, next: now.Add(busyLimit / looksPerLimit),
		without: stretch{since: now}, computing: stretch{since: now}}
}

// due reports whether it is time to look again.
func (l *load) due(now time.Time) bool { return !now.Before(l.next) }

// look says why the process must end, and nothing as long as it need not; busy asks for a sign of life.
func (l *load) look(e effort, now time.Time) (reason string, busy bool) {
	if now.Sub(l.next) > l.busyLimit/2 { // this process stood still, too, and has not read what it was answered
		l.answered(e, now)
	}
	l.next = now.Add(l.busyLimit / looksPerLimit)
	without := l.without.lasted(e.computed+e.waited, now)
	computing := l.computing.lasted(e.computed, now)
	switch {
	case without >= l.busyLimit:
		return fmt.Sprintf("It kept a processor busy for %s and answered nothing", l.busyLimit), true
	case computing >= l.computeLimit:
		return fmt.Sprintf("It computed for %s without a pause", l.computeLimit), true
	}
	return "", without > 0
}

// answered is told of a sign of life.
func (l *load) answered(e effort, now time.Time) {
	l.without = stretch{since: now, spent: e.computed + e.waited}
}

// pulse asks a process for signs of life, one after the other. Close it when the process is gone.
type pulse struct {
	socket   string
	answered chan struct{} // has one when there was an answer

	ctx     context.Context
	stop    context.CancelFunc
	asking  chan struct{} // holds one while an answer is outstanding
	running sync.WaitGroup
}

func newPulse(socket string) *pulse {
	p := &pulse{socket: socket, answered: make(chan struct{}, 1), asking: make(chan struct{}, 1)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// ask sends a request that the runtime itself refuses, since it knows no such method: no code of the Worker runs, but
// it is answered by the thread that runs that code, when it comes to it. While an answer is
// outstanding it does nothing.
func (p *pulse) ask() {
	select {
	case p.asking <- struct{}{}:
	default:
		return
	}
	p.running.Go(func() {
		defer func() { <-p.asking }()
		if p.beats() {
			select {
			case p.answered <- struct{}{}:
			default:
			}
		}
	})
}

func (p *pulse) beats() bool {
	dialer := net.Dialer{Timeout: connectTimeout}
	conn, err := dialer.DialContext(p.ctx, "unix", p.socket)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(p.ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write([]byte("ALIVE / HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
		return false
	}
	n, _ := conn.Read(make([]byte, 1)) // whatever it says
	return n > 0
}

func (p *pulse) close() {
	p.stop()
	p.running.Wait()
}
