package secretscan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// IgnoreFile is the name of the list of findings that are known and accepted, at the root of what is scanned.
const IgnoreFile = ".flaresmith-ignore.yml"

const maxIgnoreFile = 1 << 20

// ignored is an entry of the list.
type ignored struct {
	Rule        string `yaml:"rule"`
	Fingerprint string `yaml:"fingerprint"`
	Reason      string `yaml:"reason"`
	Expires     string `yaml:"expires"` // 2006-01-02: the last day on which it counts

	line    int
	expired bool
	used    bool
}

// String names an entry by its line, and repeats of it only a rule that there is: anything else may be a secret that
// somebody wrote there by mistake, also one that has the form of a fingerprint.
func (i *ignored) String() string {
	name := "a rule that is not known"
	if slices.ContainsFunc(defaultMatcher().rules, func(r rule) bool { return r.id == i.Rule }) {
		name = i.Rule
	}
	return fmt.Sprintf("%s:%d: the entry for %s", IgnoreFile, i.line, name)
}

// readIgnores reads the list, if there is one. A list that is wrong in any way is an error: what is meant to
// be ignored would not be, or too much would.
func readIgnores(dir string, today time.Time) ([]*ignored, error) {
	file, err := os.Open(filepath.Join(dir, IgnoreFile))
	if errors.Is(err, fs.ErrNotExist) || dir == "" {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxIgnoreFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxIgnoreFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", IgnoreFile, maxIgnoreFile)
	}
	return parseIgnores(text, today)
}

func parseIgnores(text []byte, today time.Time) ([]*ignored, error) {
	var document struct {
		Ignore []*ignored `yaml:"ignore"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, misread(err)
	}
	var places struct {
		Ignore []yaml.Node `yaml:"ignore"`
	}
	if err := yaml.Unmarshal(text, &places); err != nil {
		return nil, misread(err)
	}
	var problems []error
	for n, i := range document.Ignore { // as many as places
		if i == nil {
			problems = append(problems, fmt.Errorf("%s:%d: the entry is empty", IgnoreFile, places.Ignore[n].Line))
			continue
		}
		i.line = places.Ignore[n].Line
		if err := i.check(today); err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %w", IgnoreFile, i.line, err))
		}
	}
	return document.Ignore, errors.Join(problems...)
}

// misread tells where the list can't be read. What the reader of YAML says about it repeats what is written there,
// which may be the secret itself.
func misread(err error) error {
	var lines []string
	for _, at := range regexp.MustCompile(`(?m)^(?:yaml:)? *line ([0-9]{1,6}):`).FindAllStringSubmatch(err.Error(), -1) {
		lines = append(lines, at[1])
	}
	where := IgnoreFile
	if len(lines) > 0 {
		where += ", line " + strings.Join(lines, ", ")
	}
	return fmt.Errorf("%s: it is not a list under ignore of entries with rule, fingerprint, reason and expires, each once and nothing else", where)
}

func (i *ignored) check(today time.Time) error {
	if i.Rule == "" || i.Fingerprint == "" || strings.TrimSpace(i.Reason) == "" || i.Expires == "" {
		return errors.New("rule, fingerprint, reason and expires are all needed")
	}
	if strings.Trim(i.Rule, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return errors.New("rule is a rule's name, as reports print it")
	}
	if len(i.Fingerprint) != 32 || strings.Trim(i.Fingerprint, "0123456789abcdef") != "" {
		return errors.New("fingerprint is the 32 digits that reports print")
	}
	last, err := time.Parse(time.DateOnly, i.Expires)
	if err != nil {
		return errors.New("expires is a date like 2027-01-31")
	}
	i.expired = today.After(last.AddDate(0, 0, 1))
	return nil
}

// withoutIgnored drops the findings that are on the list. Expired entries count no more; of these a note tells, and of
// those that nothing was found for if all of something was searched.
func withoutIgnored(found []Finding, list []*ignored, all string, note func(string)) []Finding {
	kept := found[:0]
	for _, f := range found {
		drop := false
		for _, i := range list {
			if i.Rule == f.Rule && i.Fingerprint == f.Fingerprint {
				i.used = true
				drop = drop || !i.expired
			}
		}
		if !drop {
			kept = append(kept, f)
		}
	}
	for _, i := range list {
		switch {
		case i.expired:
			note(fmt.Sprintf("%s expired on %s and allows nothing any more", i, i.Expires))
		case all != "" && !i.used:
			note(fmt.Sprintf("%s is not needed: nothing like it is in %s", i, all))
		}
	}
	return kept
}

// allowMark is what a comment that allows a finding begins with.
const allowMark = "flaresmith:allow "

// maxComment is how far from a match, on a long line, the comment may be.
const maxComment = 16 << 10

// allowedInline reports whether a line says "flaresmith:allow <rule> <reason>", perhaps among others.
func allowedInline(line []byte, rule string) bool {
	_, rest, ok := bytes.Cut(line, []byte(allowMark))
	for ok {
		var said []byte
		said, rest, ok = bytes.Cut(rest, []byte(allowMark))
		if fields := bytes.Fields(said); len(fields) > 1 && string(fields[0]) == rule {
			return true
		}
	}
	return false
}
