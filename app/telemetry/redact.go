package telemetry

import (
	"cmp"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	redacted = "***"
	// minSecret is how long a value must be to be looked for: a shorter one would blank out words.
	minSecret = 8
)

// Redactor takes secrets out of text: values that it knows, and whatever looks like a token, a
// password in a URL or a private key. It is safe for concurrent use.
type Redactor struct {
	known  []string // longest first: one may hold another
	shapes []shape
}

// shape is one look that secrets have. A text without any of the hints has none of it, which is
// found out much faster than by the pattern.
type shape struct {
	hints   []string
	pattern *regexp.Regexp
	instead string
}

// NewRedactor knows the values, the passwords of those that are URLs, and the forms in which JSON and
// URLs write them.
func NewRedactor(secrets ...preview.Secret) *Redactor {
	r := &Redactor{shapes: shapes()}
	for _, s := range secrets {
		value := s.Reveal()
		r.know(value)
		r.know(strings.TrimSpace(value))
		if u, err := url.Parse(value); err == nil && u.User != nil {
			password, _ := u.User.Password()
			if password != u.User.Username() && password != strings.Trim(u.Path, "/") { // else it is a word
				r.know(password)
			}
		}
	}
	slices.SortFunc(r.known, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	r.known = slices.Compact(r.known)
	return r
}

func (r *Redactor) know(value string) {
	if len(value) < minSecret {
		return
	}
	quoted, _ := json.Marshal(value) // a string can't fail
	r.known = append(r.known, value, string(quoted[1:len(quoted)-1]), url.QueryEscape(value), url.PathEscape(value))
}

// Text is the text with *** for what is secret.
func (r *Redactor) Text(text string) string {
	if len(text) < minSecret {
		return text
	}
	for _, secret := range r.known {
		if strings.Contains(text, secret) {
			text = strings.ReplaceAll(text, secret, redacted)
		}
	}
	for _, s := range r.shapes {
		if slices.ContainsFunc(s.hints, func(hint string) bool { return strings.Contains(text, hint) }) {
			text = s.pattern.ReplaceAllString(text, s.instead)
		}
	}
	return text
}

// shapes are those of the services that previews are made of, and the usual ones.
func shapes() []shape {
	look := func(pattern, instead string, hints ...string) shape {
		return shape{hints: hints, pattern: regexp.MustCompile(pattern), instead: instead}
	}
	return []shape{
		look(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`, redacted, "PRIVATE KEY-----"),
		look(`\b(gh[pousr]_|github_pat_)[A-Za-z0-9_.-]{16,}`, "${1}"+redacted, "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
		look(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?`, redacted, "eyJ"),
		look(`\b(napi_|npm_|PMAK-)[A-Za-z0-9_-]{16,}`, "${1}"+redacted, "napi_", "npm_", "PMAK-"),
		look(`\b(cf(?:ut|at|k)_|sk-|glpat-|xox[abeprs]-)[A-Za-z0-9_-]{16,}`, "${1}"+redacted, "cfut_", "cfat_", "cfk_", "sk-", "glpat-", "xox"),
		look(`\b(AKIA|ASIA)[A-Z0-9]{16}\b`, "${1}"+redacted, "AKIA", "ASIA"),
		// scheme://user:password@host; the password may hold an @ that should have been escaped.
		look(`(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/?#@"']*):[^\s/"'<>]*@`, "${1}:"+redacted+"@", "://"),
		look(`(?i)\b(bearer|basic|token)(\s+)[A-Za-z0-9._~+/-]{16,}=*`, "${1}${2}"+redacted, "earer", "EARER", "asic ", "ASIC ", "oken ", "OKEN "),
		look(`(?i)(password\\?"\s*:\s*\\?")[^"\\]+`, "${1}"+redacted, "assword", "ASSWORD"),
		look(`(?i)(password\s*[=:]\s*)(?:'[^']*'|"[^"]*"|[^\s&,;'"]+)`, "${1}"+redacted, "assword", "ASSWORD"),
		look(`([?&](?:t|code|token|access_token|key|sig|signature|X-Amz-Signature)=)[^&\s"'<>]{8,}`, "${1}"+redacted, "?", "&"),
	}
}
