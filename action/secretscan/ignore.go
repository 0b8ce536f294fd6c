package secretscan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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

	expired bool
	used    bool
}

func (i *ignored) String() string { return fmt.Sprintf("entry %s %s", i.Rule, i.Fingerprint) }

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
		return nil, fmt.Errorf("%s: %w", IgnoreFile, err)
	}
	var problems []error
	for n, i := range document.Ignore {
		if i == nil {
			problems = append(problems, fmt.Errorf("%s: entry %d is empty", IgnoreFile, n+1))
			continue
		}
		if err := i.check(today); err != nil {
			problems = append(problems, fmt.Errorf("%s: entry %d: %w", IgnoreFile, n+1, err))
		}
	}
	return document.Ignore, errors.Join(problems...)
}

func (i *ignored) check(today time.Time) error {
	if i.Rule == "" || i.Fingerprint == "" || strings.TrimSpace(i.Reason) == "" || i.Expires == "" {
		return errors.New("rule, fingerprint, reason and expires are all needed")
	}
	// A notice about an entry prints these, so they must not hold anything else.
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

// withoutIgnored drops the findings that are on the list. Expired entries count no more; of these, and with
// whole of those that nothing was found for, a note tells.
func withoutIgnored(found []Finding, list []*ignored, whole bool, note func(string)) []Finding {
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
			note(fmt.Sprintf("%s: %s expired on %s", IgnoreFile, i, i.Expires))
		case whole && !i.used:
			note(fmt.Sprintf("%s: %s is not needed: nothing like it was found", IgnoreFile, i))
		}
	}
	return kept
}

// allowedInline reports whether a line says "flaresmith:allow <rule> <reason>".
func allowedInline(line []byte, rule string) bool {
	_, rest, ok := bytes.Cut(line, []byte("flaresmith:allow "))
	if !ok {
		return false
	}
	fields := bytes.Fields(rest)
	return len(fields) > 1 && string(fields[0]) == rule
}
