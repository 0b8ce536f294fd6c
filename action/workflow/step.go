package workflow

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sethvargo/go-githubactions"
)

// Step is one run of the action.
type Step struct {
	Event Event

	action   *githubactions.Action
	context  *githubactions.GitHubContext
	getenv   func(string) string
	problems []error
}

// New reads where the step runs and why. out is the step's log.
func New(out io.Writer, getenv func(string) string) (*Step, error) {
	action := githubactions.New(githubactions.WithWriter(out), githubactions.WithGetenv(getenv))
	around, err := action.Context()
	if err != nil {
		return nil, fmt.Errorf("the runner's environment: %w", err)
	}
	event, err := readEvent(around)
	if err != nil {
		return nil, err
	}
	return &Step{Event: event, action: action, context: around, getenv: getenv}, nil
}

// Input is an input's text without white space around it, or the fallback.
func (s *Step) Input(name, fallback string) string {
	// The action hands its inputs over as a composite one must, in variables without dashes.
	if value := s.action.GetInput(strings.ReplaceAll(name, "-", "_")); value != "" {
		return value
	}
	return fallback
}

// Choice is an input that is one of some words.
func (s *Step) Choice(name, fallback string, words ...string) string {
	value := s.Input(name, fallback)
	if !slices.Contains(words, value) {
		s.wrong(name, value, strings.Join(words, ", "))
	}
	return value
}

// Duration is an input like "90s" or "10m", at most six hours.
func (s *Step) Duration(name string, fallback time.Duration) time.Duration {
	text := s.Input(name, fallback.String())
	value, err := time.ParseDuration(text)
	if err != nil || value <= 0 || value > 6*time.Hour {
		s.wrong(name, text, "a time like 90s or 10m, at most 6h")
	}
	return value
}

// List is an input of words between commas or white space.
func (s *Step) List(name string) []string {
	return strings.FieldsFunc(s.Input(name, ""), func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
}

func (s *Step) wrong(name, value, want string) {
	s.problems = append(s.problems, fmt.Errorf("input %s: %q: want %s", name, clip(value, 60), want))
}

// CheckInputs is the error of all inputs that were wrong, and of those that are missing.
func (s *Step) CheckInputs() error { return errors.Join(s.problems...) }

// Token is GitHub's token of the run; it may be empty.
func (s *Step) Token() string { return s.Input("github-token", "") }

// tokenOfItsOwn reports whether the token was made for this step, and is not the job's.
func (s *Step) tokenOfItsOwn() bool {
	own := s.getenv("FLARESMITH_JOB_TOKEN")
	return own != "" && s.Token() != "" && s.Token() != own
}

// TempDir is a folder that lasts as long as the job, or "".
func (s *Step) TempDir() string { return s.getenv("RUNNER_TEMP") }

// Logf prints a line. It begins with a word of ours, so that no text can be a command to the runner: see plain, too.
func (s *Step) Logf(format string, values ...any) {
	s.action.Infof("flaresmith: %s", plain(fmt.Sprintf(format, values...)))
}

// plain is text on one line without control characters, and without "##[", with which an older form of commands to the runner
// begins, anywhere in a line.
func plain(text string) string {
	line := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }), " ")
	return strings.ReplaceAll(line, "##[", "## [")
}

func clip(text string, characters int) string {
	if runes := []rune(text); len(runes) > characters {
		return string(runes[:characters-1]) + "…"
	}
	return text
}
