package preview

import "time"

// Attempt is one attempt of GitHub's to deliver an event. All attempts at one event share its GUID.
type Attempt struct {
	ID    int64
	GUID  string
	Event string
	At    time.Time
}
