package inbox

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/store"
)

func TestMissing(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	attempt := func(id int64, guid, event string, minute int) preview.Attempt {
		return preview.Attempt{ID: id, GUID: guid, Event: event, At: since.Add(time.Duration(minute) * time.Minute)}
	}
	missed := func(id int64, guid, event string, minute int, urgent bool) store.Missed {
		return store.Missed{AttemptID: id, GUID: guid, Event: event, At: since.Add(time.Duration(minute) * time.Minute), Urgent: urgent}
	}
	tests := []struct {
		name string
		page []preview.Attempt
		want []store.Missed
		more bool
	}{
		{"empty", nil, nil, false},
		{"one", []preview.Attempt{attempt(1, "a", "push", 0)}, []store.Missed{missed(1, "a", "push", 0, false)}, true},
		{"three attempts at one event", []preview.Attempt{attempt(9, "a", "push", 9), attempt(5, "b", "pull_request", 5), attempt(3, "a", "push", 3), attempt(1, "a", "push", 1)},
			[]store.Missed{missed(9, "a", "push", 1, false), missed(5, "b", "pull_request", 5, true)}, true},
		{"of another order than GitHub's", []preview.Attempt{attempt(1, "a", "push", 1), attempt(3, "a", "push", 3)},
			[]store.Missed{missed(3, "a", "push", 1, false)}, true},
		{"nobody handles it, but older ones may follow", []preview.Attempt{attempt(1, "a", "star", 1)}, nil, true},
		{"older", []preview.Attempt{attempt(2, "a", "push", -1), attempt(1, "b", "push", -2)}, nil, false},
		{"some older", []preview.Attempt{attempt(2, "a", "push", -1), attempt(1, "b", "push", 1), attempt(0, "b", "push", -3)},
			[]store.Missed{missed(1, "b", "push", 1, false)}, true},
		{"no delivery id of ours", []preview.Attempt{attempt(1, "", "push", 1), attempt(2, strings.Repeat("x", 129), "push", 1)}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, more := missing(tt.page, map[string]bool{"push": false, "pull_request": true}, since)
			if diff := cmp.Diff(tt.want, got); diff != "" || more != tt.more {
				t.Errorf("more = %t (-want +got):\n%s", more, diff)
			}
		})
	}
}
