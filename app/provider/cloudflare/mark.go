package cloudflare

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// The tags of a script that is ours begin with these.
const (
	tagProject     = "flaresmith-project-"
	tagEnvironment = "flaresmith-environment-"
	tagDigest      = "flaresmith-digest-"
	tagContent     = "flaresmith-content-"
	tagVersion     = "flaresmith-version-" // of a long-lived environment
)

// tagValue is what a tag can carry: Cloudflare warns of characters that its filters need.
var tagValue = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

func markTags(m preview.Mark) []string {
	return []string{tagProject + m.Project, tagEnvironment + m.Environment}
}

// finishedTags are those of a script whose deployment has ended.
func finishedTags(r preview.Resource, content string) []string {
	return append(markTags(r.Mark), tagDigest+r.Digest, tagContent+content)
}

// content tells what was uploaded from what would be: a database that was made anew has another password, while the
// digest stays. Nobody without the API token can try passwords on it.
func (p *Workers) content(in preview.Inputs) string {
	const bytes = 16
	sum := hmac.New(sha256.New, []byte(p.token.Reveal()))
	_, _ = fmt.Fprintf(sum, "%s\n%s", in.Bundle.Digest, in.Outputs.DatabaseURL.Reveal()) // a hash never fails
	return hex.EncodeToString(sum.Sum(nil)[:bytes])
}

// tags are what a script or a preview carries.
type tags []string

// tagged is the value of a tag that begins so; empty: there is none, or more than one.
func (t tags) tagged(prefix string) string {
	value, found := "", 0
	for _, tag := range t {
		if rest, ok := strings.CutPrefix(tag, prefix); ok {
			value = rest
			found++
		}
	}
	if found != 1 {
		return ""
	}
	return value
}

func (t tags) mark() preview.Mark {
	return preview.Mark{Project: t.tagged(tagProject), Environment: t.tagged(tagEnvironment)}
}

// checkResource refuses what can't be a script's name, a host's, or a tag.
func checkResource(r preview.Resource) error {
	if !preview.NamePattern.MatchString(r.Name) || !label.MatchString(r.Name) {
		return fmt.Errorf("%.80q is no name of a Worker of ours", r.Name)
	}
	if bad := slices.ContainsFunc([]string{r.Mark.Project, r.Mark.Environment}, func(s string) bool { return !tagValue.MatchString(s) }); bad {
		return fmt.Errorf("the mark of %s can't be a tag", r.Name)
	}
	return nil
}
