package workerd

import (
	"bytes"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

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

const (
	maxLine = 4 << 10
	// A line is cut only after it was redacted, so a secret that straddles maxLine is found.
	maxRawLine = 64 << 10
	// Shorter "secrets" would blank out half of every message and hide nothing.
	minSecret = 4
	// What a line costs in the budget beside its text.
	lineOverhead = 48
)

// redactor replaces known secret values.
type redactor struct {
	replacer *strings.Replacer
	longest  int
}

func newRedactor(secrets []preview.Secret) redactor {
	var values []string
	for _, secret := range secrets {
		value := secret.Reveal()
		if len(value) < minSecret {
			continue
		}
		values = append(values, value)
		for _, escaped := range []string{url.QueryEscape(value), url.PathEscape(value)} {
			if escaped != value {
				values = append(values, escaped)
			}
		}
	}
	// Longest first: a URL must go as a whole before the password inside it.
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	values = slices.Compact(values)
	r := redactor{}
	pairs := make([]string, 0, 2*len(values))
	for _, value := range values {
		pairs = append(pairs, value, "***")
		r.longest = max(r.longest, len(value))
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

func (r redactor) clean(text string) string { return r.replacer.Replace(text) }

// logs keeps the last lines of one preview within a budget of bytes.
type logs struct {
	budget int

	mu     sync.Mutex
	lines  []LogLine
	size   int
	hidden []preview.Secret
	secret redactor
}

func newLogs(budget int) *logs { return &logs{budget: budget, secret: newRedactor(nil)} }

// hide adds values that no line may carry from now on, and removes them from older lines. Earlier
// ones stay hidden: the generation that knows them may still serve.
func (l *logs) hide(secrets []preview.Secret) redactor {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, secret := range secrets {
		if !slices.Contains(l.hidden, secret) {
			l.hidden = append(l.hidden, secret)
		}
	}
	secret := newRedactor(l.hidden)
	l.secret = secret
	for i := range l.lines {
		l.lines[i].Text = secret.clean(l.lines[i].Text)
	}
	return secret
}

func (l *logs) add(stream Stream, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text = l.secret.clean(strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine-3], "") + "..."
	}
	l.lines = append(l.lines, LogLine{Time: time.Now(), Stream: stream, Text: text})
	l.size += len(text) + lineOverhead
	drop := 0
	for l.size > l.budget && drop < len(l.lines)-1 {
		l.size -= len(l.lines[drop].Text) + lineOverhead
		drop++
	}
	if drop > 0 {
		l.lines = slices.Clone(l.lines[drop:])
	}
}

func (l *logs) snapshot() []LogLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

func (l *logs) longestSecret() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.secret.longest
}

// lineWriter cuts a process's output into lines. Beside the log it may keep the first lines of
// standard error, which say why a process did not start.
type lineWriter struct {
	logs   *logs
	stream Stream
	head   *head // may be nil

	partial  []byte
	overlong bool // the rest of this line is dropped
}

// Write never fails: a Worker that writes too much must not block or die of it.
func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		line, rest, complete := bytes.Cut(p, []byte("\n"))
		if !w.overlong {
			w.partial = append(w.partial, line[:min(len(line), maxRawLine-len(w.partial))]...)
			if len(w.partial) == maxRawLine {
				w.overlong = true
				// What may be the beginning of a secret goes as well.
				w.partial = w.partial[:max(0, maxRawLine-w.logs.longestSecret())]
				w.flush()
			}
		}
		if complete {
			if !w.overlong {
				w.flush()
			}
			w.overlong = false
		}
		p = rest
	}
	return n, nil
}

func (w *lineWriter) flush() {
	text := strings.TrimRight(string(w.partial), "\r")
	w.partial = w.partial[:0]
	if idle(text) {
		return
	}
	w.logs.add(w.stream, text)
	if w.head != nil {
		w.head.add(text)
	}
}

var needlessFlag = regexp.MustCompile(`^service main: The compatibility flag \S+ became the default as of \S+ so does not need to be specified anymore\.$`)

// idle tells what the runtime says at each start and nobody has to do anything about: that its executable was opened by
// descriptor, and that a flag, which older dates and tools need, goes without saying at the Worker's date.
func idle(line string) bool {
	return strings.HasPrefix(line, "Unable to find and open the program executable") || needlessFlag.MatchString(line)
}

// head keeps the first lines of standard error.
type head struct {
	mu    sync.Mutex
	lines []string
}

const maxHeadLines = 40

func (h *head) add(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.lines) < maxHeadLines {
		h.lines = append(h.lines, text)
	}
}

func (h *head) get() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lines)
}
