package secretscan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Tier says how sure a finding is.
type Tier string

// The tiers, from sure to doubtful.
const (
	Certain Tier = "certain" // the form belongs to one kind of secret only
	Likely  Tier = "likely"  // a name that says so beside a value of the right form
	Generic Tier = "generic" // something that looks random beside a name like "key"
)

// ParseTier reads a tier's name.
func ParseTier(name string) (Tier, error) {
	if t := Tier(name); t.weight() > 0 {
		return t, nil
	}
	return "", fmt.Errorf("tier %q: want certain, likely or generic", name)
}

func (t Tier) weight() int {
	switch t {
	case Certain:
		return 3
	case Likely:
		return 2
	case Generic:
		return 1
	default:
		return 0
	}
}

// AtLeast reports whether a finding of this tier is at or over a bar.
func (t Tier) AtLeast(bar Tier) bool { return t.weight() >= bar.weight() }

// Finding is one secret at one place. It does not hold the secret.
type Finding struct {
	Rule        string  `json:"rule"`
	Description string  `json:"description"`
	Tier        Tier    `json:"tier"`
	Path        string  `json:"path"`           // relative to the repository, with slashes; "" of what is in no file
	Text        string  `json:"text,omitempty"` // in which it is, if it is in no file: "the message of commit 0123456789"
	Line        int     `json:"line"`           // all four count from 1, columns in characters
	Column      int     `json:"column"`
	EndLine     int     `json:"endLine"`
	EndColumn   int     `json:"endColumn"` // of the character after the last one
	Fingerprint string  `json:"fingerprint"`
	Decoded     string  `json:"decoded,omitempty"` // how it was encoded, if it was
	First       *Commit `json:"first,omitempty"`   // the commit that brought it, in modes that read commits
	Last        *Commit `json:"last,omitempty"`    // the newest commit of the scan that wrote a file with it

	place int    // index of the file's path among those that were scanned together; Path may be veiled
	value uint64 // of the secret, by a key of this process: a short one that took another's place has its fingerprint
}

// Same tells findings of one secret in this process, and no other: what is the same in two versions of a file is not new.
func (f *Finding) Same() string { return fmt.Sprintf("%s %s %x", f.Rule, f.Fingerprint, f.value) }

// where is the file or text, for people.
func (f *Finding) where() string {
	if f.Text != "" {
		return printable(f.Text)
	}
	return printable(f.Path)
}

// Commit is where a finding was seen; of one in a tag's message, the tag.
type Commit struct {
	ID     string    `json:"id"`
	Author string    `json:"author"`
	Date   time.Time `json:"date,omitzero"`
}

// reportable is a date, or the zero one if no report can have it: Git takes years and zones that JSON does not.
func reportable(date time.Time) time.Time {
	if _, err := date.MarshalJSON(); err != nil {
		return time.Time{}
	}
	return date
}

// sortFindings puts the surest first, then goes by place, so that two scans print the same.
func sortFindings(list []Finding) {
	slices.SortStableFunc(list, func(a, b Finding) int {
		if d := b.Tier.weight() - a.Tier.weight(); d != 0 {
			return d
		}
		if d := cmp.Or(strings.Compare(a.Text, b.Text), strings.Compare(a.Path, b.Path)); d != 0 {
			return d
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		if a.Column != b.Column {
			return a.Column - b.Column
		}
		return strings.Compare(a.Rule+a.Fingerprint, b.Rule+b.Fingerprint)
	})
}
