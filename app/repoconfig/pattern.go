package repoconfig

import (
	"errors"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Limits of patterns: they are matched against every changed file of a pull request.
const (
	maxPattern     = 200
	maxDoubleStars = 4
)

// BranchMatches reports whether a branch matches a pattern. As in GitHub's branch filters "*"
// stands for any characters but "/", "**" as a whole path element for anything including "/",
// "?" for one character and "[a-z]" for one of a set: "feature/*" matches feature/a and not
// feature/a/b, which "feature/**" matches too. A pattern that is not valid matches nothing.
func BranchMatches(pattern, branch string) bool {
	matched, err := doublestar.Match(pattern, branch)
	return err == nil && matched
}

// IgnoresAll reports whether there are files and each matches one of Paths.Ignore. Patterns are
// as in BranchMatches and match whole paths: "docs/**" is everything under docs, "**/*.md"
// every Markdown file.
func (p Policy) IgnoresAll(files []string) bool {
	for _, file := range files {
		if !p.ignores(file) {
			return false
		}
	}
	return len(files) > 0
}

func (p Policy) ignores(file string) bool {
	for _, pattern := range p.Paths.Ignore {
		if BranchMatches(pattern, file) {
			return true
		}
	}
	return false
}

// checkPattern says what is wrong with a pattern.
func checkPattern(pattern string) error {
	switch {
	case pattern == "":
		return errors.New("is empty")
	case len(pattern) > maxPattern:
		return errors.New("is longer than 200 bytes")
	case strings.HasPrefix(pattern, "!"):
		return errors.New("begins with !, and patterns can't be negated")
	case strings.ContainsAny(pattern, "{}"):
		return errors.New("has braces, which are no pattern here; write one entry each")
	case strings.Count(pattern, "**") > maxDoubleStars:
		return errors.New("has more than four **")
	case hasControl(pattern):
		return errors.New("has control characters")
	case !doublestar.ValidatePattern(pattern):
		return errors.New("is not a valid pattern")
	}
	return nil
}
