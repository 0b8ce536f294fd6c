package build

import (
	"fmt"
	"regexp"
	"strings"
)

// ignoreList is the content of an .assetsignore file, which is written like a .gitignore.
type ignoreList []ignoreRule

type ignoreRule struct {
	pattern    *regexp.Regexp
	folderOnly bool
	keep       bool // "!" in front
}

const maxIgnoreRules = 100

// parseIgnore reads the lines of a file. Of gitignore's syntax, only [classes] and backslashes are
// not understood; they are an error and not a file that is served by mistake.
func parseIgnore(text string) (ignoreList, error) {
	var list ignoreList
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if len(line) > 256 || len(list) == maxIgnoreRules || strings.ContainsAny(line, `[]\`) {
			return nil, fmt.Errorf("the pattern %.80q is not supported", line)
		}
		var rule ignoreRule
		glob := line
		glob, rule.keep = strings.CutPrefix(glob, "!")
		glob, rule.folderOnly = strings.CutSuffix(glob, "/")
		if anchored := strings.Contains(glob, "/"); !anchored {
			glob = "**/" + glob
		}
		glob = regexp.QuoteMeta(strings.TrimPrefix(glob, "/"))
		glob = strings.ReplaceAll(glob, `\*\*/`, `(?:.*/)?`)
		glob = strings.ReplaceAll(glob, `\*\*`, "\x00")
		glob = strings.ReplaceAll(glob, `\*`, `[^/]*`)
		glob = strings.ReplaceAll(glob, `\?`, `[^/]`)
		pattern, err := regexp.Compile("^" + strings.ReplaceAll(glob, "\x00", ".*") + "$")
		if err != nil {
			return nil, fmt.Errorf("the pattern %.80q is not supported", line)
		}
		rule.pattern = pattern
		list = append(list, rule)
	}
	return list, nil
}

// match reports whether a path is left out: the last rule that fits counts.
func (l ignoreList) match(name string, folder bool) bool {
	ignored := false
	for _, rule := range l {
		if (folder || !rule.folderOnly) && rule.pattern.MatchString(name) {
			ignored = !rule.keep
		}
	}
	return ignored
}
