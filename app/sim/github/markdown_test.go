package github

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// FuzzMarkdown looks for anything in a rendered comment that could run.
func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{
		"# a\n<details><summary>b</summary>\n\n```sql\nselect\n```\n</details>", "<script>x</script>", "<img src=x onerror=y>", "[a](javascript:b)",
		"<svg/onload=a>", "> [!NOTE]\n> <b onclick=x>", "| a |\n|--|\n| <iframe src=//x> |", "<!-- m --><style>*{}</style>", "<a href=\"data:text/html,x\">", "<form action=/x><input name=y>",
	} {
		f.Add(seed)
	}
	m := newMarkdown()
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := html.Parse(strings.NewReader("<!doctype html><body>" + string(m.html(text))))
		if err != nil {
			t.Fatal(err)
		}
		for node := range doc.Descendants() {
			if node.Type == html.CommentNode {
				t.Errorf("comment %q in %q", node.Data, text)
			}
			switch node.Data {
			case "script", "style", "iframe", "form", "object", "embed", "svg", "link", "meta", "base", "textarea", "button":
				if node.Type == html.ElementNode {
					t.Errorf("element %s in %q", node.Data, text)
				}
			}
			for _, a := range node.Attr {
				value := strings.ToLower(strings.TrimSpace(a.Val))
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(value, "javascript:") || strings.HasPrefix(value, "data:") {
					t.Errorf("attribute %s=%q in %q", a.Key, a.Val, text)
				}
			}
		}
	})
}

func TestMatch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, template, path string
		open                 bool
		parameter, want      string // empty parameter: no match
	}{
		{"plain", "/repos/{owner}/{repo}", "/repos/a/b", false, "repo", "b"},
		{"escaped slash", "/repos/{owner}/{repo}/branches/{branch}", "/repos/a/b/branches/x%2Fy", false, "branch", "x/y"},
		{"too long", "/repos/{owner}/{repo}", "/repos/a/b/c", false, "", ""},
		{"not a folder", "/repos/{owner}/{repo}/contents/{path}", "/repos/a/b/contents/x/y", false, "", ""},
		{"folder", "/repos/{owner}/{repo}/contents/{path}", "/repos/a/b/contents/x/y", true, "path", "x/y"},
		{"root", "/repos/{owner}/{repo}/contents/{path}", "/repos/a/b/contents/", true, "path", ""},
		{"empty name", "/repos/{owner}/{repo}", "/repos/a/", false, "", ""},
		{"bad escape", "/repos/{owner}/{repo}", "/repos/a/%zz", false, "", ""},
	}
	for _, test := range tests {
		values, ok := match(test.template, test.path, test.open)
		if ok != (test.parameter != "") || ok && values[test.parameter] != test.want {
			t.Errorf("%s: %v, %v", test.name, values, ok)
		}
	}
}

func FuzzParseRawDiff(f *testing.F) {
	f.Add(":100644 100644 a b M\x00x\x001\t2\tx\x00")
	f.Add(":100644 100644 a b R100\x00x\x00y\x000\t0\t\x00x\x00y\x00")
	f.Fuzz(func(t *testing.T, out string) {
		for _, e := range parseRawDiff(out) {
			if e.previous != "" && e.status != "renamed" && e.status != "copied" {
				t.Errorf("%+v", e)
			}
		}
		splitPatch(out)
		parseTree(out)
	})
}
