package workerd

import "sync"

// drain counts the requests of one generation, so that it can be ended between two of them.
type drain struct {
	mu     sync.Mutex
	count  int
	closed bool
	empty  chan struct{} // closed when closed and nothing runs
}

func newDrain() *drain { return &drain{empty: make(chan struct{})} }

// enter reports whether a request may still begin; each that did must leave.
func (d *drain) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.count++
	return true
}

func (d *drain) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count--
	if d.closed && d.count == 0 {
		close(d.empty)
	}
}

// close lets nobody in any more; the channel is closed when the last one has left.
// It is called once.
func (d *drain) close() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.count == 0 {
		close(d.empty)
	}
	return d.empty
}
