package github

import (
	"bytes"
	"html/template"
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
)

// markdown renders as GitHub does: GitHub-flavoured, line breaks kept, raw HTML cut down to what is harmless.
type markdown struct {
	parser goldmark.Markdown
	policy *bluemonday.Policy
	alert  *regexp.Regexp
}

func newMarkdown() markdown {
	policy := bluemonday.UGCPolicy()
	policy.AllowElements("details", "summary", "kbd", "sub", "sup", "samp", "var", "tt", "ins", "del", "s")
	policy.AllowAttrs("open").OnElements("details")
	policy.AllowAttrs("align").Matching(regexp.MustCompile(`^(left|right|center)$`)).OnElements("p", "div", "td", "th", "h1", "h2", "h3", "img")
	policy.AllowAttrs("class").Matching(regexp.MustCompile(`^language-[\w+-]{1,30}$`)).OnElements("code")
	policy.AllowAttrs("type").Matching(regexp.MustCompile(`^checkbox$`)).OnElements("input")
	policy.AllowAttrs("checked", "disabled").OnElements("input")
	return markdown{
		parser: goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithRendererOptions(html.WithUnsafe(), html.WithHardWraps())),
		policy: policy,
		alert:  regexp.MustCompile(`<blockquote>\s*<p>\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*(?:<br ?/?>)?`),
	}
}

func (m markdown) html(text string) template.HTML {
	var out bytes.Buffer
	if err := m.parser.Convert([]byte(text), &out); err != nil {
		return template.HTML("<pre>" + template.HTMLEscapeString(text) + "</pre>") //nolint:gosec // escaped
	}
	safe := m.policy.Sanitize(out.String())
	safe = m.alert.ReplaceAllStringFunc(safe, func(match string) string {
		kind := m.alert.FindStringSubmatch(match)[1]
		return `<blockquote class="alert ` + strings.ToLower(kind) + `"><p><strong>` + kind[:1] + strings.ToLower(kind[1:]) + `</strong><br>`
	})
	return template.HTML(safe) //nolint:gosec // sanitised above
}
