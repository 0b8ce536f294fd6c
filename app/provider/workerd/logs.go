package workerd

import "time"

// LogLine is one line that a Worker's process wrote, or that the Runtime says about it.
type LogLine struct {
	Time   time.Time
	Stream Stream
	Text   string // at most 4 KB, secrets replaced by "***"
}

// Stream is where a log line comes from.
type Stream string

// The streams.
const (
	Stdout     Stream = "stdout"
	Stderr     Stream = "stderr"
	Supervisor Stream = "supervisor" // the Runtime about the process: restarts, refused connections
)
