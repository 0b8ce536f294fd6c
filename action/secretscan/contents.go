package secretscan

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// MaxText is the size in bytes of the largest text that is searched.
const MaxText = maxText

// Trust says which allowances count for texts whose author may not be trusted with them.
type Trust struct {
	IgnoreFile []byte // the content of an IgnoreFile that counts; nil is none
	Inline     bool   // comments on a finding's line count
}

// Contents searches texts that a caller has, as a server does that reads them from an API. It is for one
// goroutine at a time.
type Contents struct {
	searcher *searcher
	ignores  []*ignored
	kept     int // findings of all texts
}

// NewContents makes one. Entries of the ignore file expire by now; a file that is wrong in any way is an error.
func NewContents(trust Trust, now time.Time) (*Contents, error) {
	ignores, err := parseIgnores(trust.IgnoreFile, now)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	s := newSearcher(defaultMatcher())
	s.strict = !trust.Inline
	return &Contents{searcher: s, ignores: ignores}, nil
}

// Apart is the same search, for the same goroutine, with room of its own for findings.
func (c *Contents) Apart() *Contents { return &Contents{searcher: c.searcher, ignores: c.ignores} }

// Scan finds the secrets of a text. name is what errors call it and must hold nothing of it; path is where
// findings are and what rules for certain paths go by, "" of what is no file. Of all texts together so many findings are kept as of a scan: a
// CutError says how many are not. What the ignore file allows is among the findings: see Unallowed. left says what was not
// searched, as of an archive beyond the bounds, or is not kept.
func (c *Contents) Scan(name, path string, text []byte) (found []Finding, left []string, err error) {
	if len(text) > maxText {
		return nil, nil, fmt.Errorf("%w: %s is larger than %d MiB", ErrNotScanned, name, maxText>>20)
	}
	if c.Skips(path) {
		return nil, nil, nil
	}
	c.searcher.note = func(text string) { left = append(left, text) }
	c.searcher.more = newMore()
	found, err = c.searcher.file(name, text, []string{path})
	if c.searcher.more.pointers.Load() > 0 {
		left = append(left, c.searcher.shown(c.searcher.called)+" is kept in Git LFS, and its pointer alone was scanned")
	}
	found = c.searcher.more.keep(found, maxKept-c.kept)
	c.kept += len(found)
	cut := c.searcher.more.error()
	if more, _ := Cut(cut); more != nil {
		left = append(left, fmt.Sprintf("%s holds more secrets than are listed: %s more", c.searcher.shown(c.searcher.called), perTier(more)))
	}
	if err == nil {
		err = cut
	}
	return found, left, err
}

// Skips reports whether files of this path are never searched.
func (c *Contents) Skips(path string) bool { return c.searcher.allowsPath(path) }

// Shown is a path as it may be printed: a secret in it is hidden.
func (c *Contents) Shown(path string) string { return c.searcher.shown(path) }

// Key names a search whose result depends on nothing else: the text by an id that its content decides, its
// path, the rules, and whether comments count. It is a hash and holds no text.
func (c *Contents) Key(id, path string) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d %s %t %s %s", generation, rulesHash, c.searcher.strict, id, path))
}

// Unallowed are the findings that the ignore file does not allow, sorted, the surest first. note hears of
// entries that have expired.
func (c *Contents) Unallowed(found []Finding, note func(text string)) []Finding {
	found = withoutIgnored(found, c.ignores, "", note)
	sortFindings(found)
	return found
}
