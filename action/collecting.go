package main

import (
	"runtime"
	"runtime/debug"
	"sync"
)

const (
	// unhurried is how much larger memory may be than what was in use after a collection, in percent: a run is short, and most of what it
	// makes stays in use. Less collecting takes a quarter off its CPU, and adds a tenth or two to its memory.
	unhurried = 400
	// untouched is the same before the first collection, which the runtime takes 4 MB for: it begins at 128 MB. Before that, there is hardly
	// anything that is not in use any more.
	untouched = 3200
)

// collectSeldom makes the garbage collector wait, until it is told that the run is over.
func collectSeldom() (over func()) {
	var mu sync.Mutex
	running := true
	before := debug.SetGCPercent(untouched)
	first := &struct{ _ *byte }{} // nobody has it: the first collection finds it
	runtime.AddCleanup(first, func(percent int) {
		mu.Lock()
		defer mu.Unlock()
		if running {
			debug.SetGCPercent(percent)
		}
	}, unhurried)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		running = false
		if before != untouched && before != unhurried { // tests have several runs at once: the one that was first puts it back
			debug.SetGCPercent(before)
		}
	}
}
