package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// TestCollectSeldom is alone: the percentage is that of the process.
func TestCollectSeldom(t *testing.T) { //nolint:paralleltest // see above
	percent := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	over := collectSeldom()
	second := collectSeldom()
	if got := percent(); got != untouched {
		t.Errorf("before the first collection %d, want %d", got, untouched)
	}
	for percent() != unhurried { // what the collection found is dealt with behind it
		runtime.GC()
	}
	over()
	second()
	if got := percent(); got != 100 {
		t.Errorf("after the run %d, want 100", got)
	}
	runtime.GC()
	if got := percent(); got != 100 {
		t.Errorf("later %d, want 100", got)
	}
}
