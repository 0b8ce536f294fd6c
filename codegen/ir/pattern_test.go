package ir

import "testing"

func TestParsePattern(t *testing.T) {
	t.Parallel()
	tests := []struct{ source, want string }{
		{`^[a-z]+$`, `/^[a-z]+$/u`},
		{`a/b\/c`, `/a\/b\/c/u`},
		{`^(?:a|b)*?(?<name>c)\k<name>(?=d)(?<!e)$`, `/^(?:a|b)*?(?<name>c)\k<name>(?=d)(?<!e)$/u`},
		{`\p{L}+`, `/\p{L}+/u`},
		{`\u{1F600}`, `/\u{1F600}/u`},
		{`[\w-.]`, `/[\w-.]/`},
		{`a\_b`, `/a\_b/`},
		{`a{`, `/a{/`},
		{`a]`, `/a]/`},
		{"a\nb", "/a\\u000ab/u"},
		{`[\x41-\x5a]`, `/[\x41-\x5a]/u`},
		{`\A\d+\z`, ``},
		{`[\w-.]\p{L}`, ``},
		{`^[[:alpha:]]+$`, ``},
		{`[:a]`, `/[:a]/u`},
		{`(a`, ``},
		{`a)`, ``},
		{`[a`, ``},
		{`*a`, ``},
		{`a**`, ``},
		{`(?i)a`, ``},
		{`(?P<x>a)`, ``},
		{`[z-a]`, ``},
		{`a{3,2}`, ``},
		{`a\`, ``},
		{`{2}`, ``},
		{`\p{Lu}\P{Nd}\p{Uppercase_Letter}\p{Alpha}\p{ASCII}\p{Script=Latin}\p{sc=Grek}\p{gc=L}`, `/\p{Lu}\P{Nd}\p{Uppercase_Letter}\p{Alpha}\p{ASCII}\p{Script=Latin}\p{sc=Grek}\p{gc=L}/u`},
		{`[\p{L}\p{Nd}_-]`, `/[\p{L}\p{Nd}_-]/u`},
		{`^\p{Latin}+$`, ``},
		{`^\p{Alnum}+$`, ``},
		{`[\p{Graph}\x20]*`, ``},
		{`\p{IsAlphabetic}`, ``},
		{`\p{Script=Klingon}`, ``},
		{`\p{}`, ``},
		{`\u{110000}`, ``},
		{`\u{}`, ``},
		{`\x4`, ``},
		{`[\w-.]\u41`, ``},
		{`(?<a>b)(?<a>c)`, ``},
		{`(?<a>b)\k<c>`, ``},
		{`(?<=a)\k<a>`, ``},
		{`\k<a>(?<a>b)`, `/\k<a>(?<a>b)/u`},
		{`(a)(?:b)\1`, `/(a)(?:b)\1/u`},
		{`(?:a)\1`, ``},
		{`(a)\12`, ``},
		{`(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)(l)\12`, `/(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)(l)\12/u`},
		{`[\1]`, ``},
		{`\01`, ``},
		{`[\0a]\0`, `/[\0a]\0/u`},
	}
	for _, tt := range tests {
		got, why := ParsePattern(tt.source)
		literal := ""
		if got.Source != "" {
			literal = got.Literal()
		}
		if literal != tt.want || (why == "") != (tt.want != "") {
			t.Errorf("%s: got %s (%s), want %s", tt.source, literal, why, tt.want)
		}
	}
}

func TestIdent(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Product": "Product", "code-scanning-alert": "CodeScanningAlert", "9lives": "_9lives", "import": "import_", "z": "z_", "equal": "equal_", "matching": "matching_",
		"a.b/c": "ABC", "日本": "Schema", "": "Schema", "Array": "Array_", "x_1": "x_1",
	} {
		if got := Ident(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{`^[\w-.]+$`, `(?<a>b)\k<a>`, `a{2,3}?`, `[^\]-]`, `\u{1F600}|\cA`, `(?=(?!(?<=(?<!x))))`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if got, why := ParsePattern(source); (got.Source == "") != (why != "") && source != "" {
			t.Errorf("%q: either a pattern or why not, got %q and %q", source, got.Source, why)
		}
	})
}
