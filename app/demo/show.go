package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// stepResult is one played step.
type stepResult struct {
	Name       string `json:"name"`
	OK         bool   `json:"ok"`
	DurationMS int64  `json:"durationMs"`
	Detail     string `json:"detail"`
}

// checkResult is the check run that a good commit got.
type checkResult struct {
	Name       string `json:"name"`
	Conclusion string `json:"conclusion"`
}

// storyResult is what --json prints.
type storyResult struct {
	OK         bool         `json:"ok"`
	Steps      []stepResult `json:"steps"`
	PreviewURL string       `json:"previewUrl"`
	CheckRun   checkResult  `json:"checkRun"`
	Leaks      []string     `json:"leaks"`
}

// show prints the story for a person, or collects it for a program.
type show struct {
	out, err io.Writer
	json     bool
	started  time.Time

	mu   sync.Mutex
	bars map[string]*download
}

// download is one running download; its bar appears after a second.
type download struct {
	since time.Time
	bar   *progressbar.ProgressBar
}

func newShow(o Options) *show {
	return &show{out: o.Out, err: o.Err, json: o.JSON, started: time.Now(), bars: map[string]*download{}}
}

// progress draws a bar for a download that takes longer than a second.
func (s *show) progress(name string, done, total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.bars[name]
	if d == nil {
		d = &download{since: time.Now()}
		s.bars[name] = d
	}
	if d.bar == nil && time.Since(d.since) > time.Second {
		d.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription("  fetching "+name),
			progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionOnCompletion(func() { _, _ = fmt.Fprintln(s.err) }))
	}
	if d.bar != nil {
		_ = d.bar.Set64(done) // a terminal that can't draw is no reason to stop
	}
}

func (s *show) printf(format string, args ...any) {
	if !s.json {
		_, _ = fmt.Fprintf(s.out, format, args...)
	}
}

func (s *show) ready(w *world) {
	s.printf("\nFlaresmith demo, everything on this machine (%s to start)\n\n", round(time.Since(s.started)))
	s.printf("  server   %s\n  GitHub   %s/%s  (a stand-in over real git)\n  %s\n\n",
		w.server.URL(), w.github.URL(), repo, w.place.introduce())
}

// step prints the outcome of one step with its duration and a link.
func (s *show) step(number, of int, title string, r stepResult, link string) {
	mark := "ok  "
	if !r.OK {
		mark = "FAIL"
	}
	s.printf("%s %d/%d  %-60s %8s\n", mark, number, of, title, round(time.Duration(r.DurationMS)*time.Millisecond))
	for line := range strings.Lines(r.Detail) {
		s.printf("          %s\n", strings.TrimRight(line, "\n"))
	}
	if link != "" {
		s.printf("          %s\n", link)
	}
	s.printf("\n")
}

func (s *show) result(r storyResult) error {
	if s.json {
		encoder := json.NewEncoder(s.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(r)
	}
	var total time.Duration
	for _, step := range r.Steps {
		total += time.Duration(step.DurationMS) * time.Millisecond
	}
	switch {
	case r.OK:
		s.printf("All %d steps verified in %s; nothing was left behind.\n", len(r.Steps), round(total))
	case len(r.Leaks) > 0 && len(r.Steps) == len(chapters()):
		s.printf("Left behind: %s\n", strings.Join(r.Leaks, ", "))
	default:
		s.printf("The story ended early. Run with --verbose to see the server's log.\n")
	}
	return nil
}

func (s *show) stayingUp(w *world, status string) {
	s.printf(`
Now it is yours. Open a pull request by pushing a branch:

  git clone %s shop && cd shop
  git checkout -b my-change && git commit --allow-empty -m "My change" && git push origin my-change

Its page: %s/%s/pull/2
Environments, passes and logs, live (this link opens once): %s

Ctrl-C ends the demo and removes everything.
`, w.github.PushURL(repo, developer), w.github.URL(), repo, status)
}

func round(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }
