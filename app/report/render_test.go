package report

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	"github.com/flaresmith/flaresmith/app/preview"
)

func TestConclusions(t *testing.T) {
	t.Parallel()
	want := map[Phase]string{
		PhaseQueued: "queued/", PhaseWorking: "in_progress/", PhaseReady: "completed/success", PhaseUnavailable: "in_progress/",
		PhaseOutage: "completed/failure", PhaseFailed: "completed/failure", PhaseInvalid: "completed/failure", PhaseNeedsAction: "completed/action_required",
		PhaseSkipped: "completed/skipped", PhaseHeld: "completed/skipped", PhaseExpired: "completed/neutral", PhaseClosed: "completed/neutral",
	}
	got := map[Phase]string{}
	for phase := range want {
		check := Render(Status{Phase: phase}).Check
		got[phase] = check.Status + "/" + check.Conclusion
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestStable says that a later pass without a change renders the same, but for the text that is
// never compared.
func TestStable(t *testing.T) {
	t.Parallel()
	for name, status := range cases() {
		later := status
		later.Now = status.Now.Add(90 * time.Minute)
		later.Steps = []Step{{Name: "database", Op: "observe", OK: true, Duration: time.Second}}
		a, b := Render(status), Render(later)
		a.Check.Text, b.Check.Text = "", ""
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLongDiffIsCut(t *testing.T) {
	t.Parallel()
	status := cases()["ready"]
	status.Outputs.SchemaDiff = strings.Repeat("ALTER TABLE \"ä\" ADD COLUMN \"ö\" text; -- ```\n", 10_000)
	comment := Render(status).Comment
	checkLimits(t, Render(status))
	if !strings.Contains(comment, "-- The rest is left out here.\n````\n\n</details>") {
		t.Errorf("no note at the cut: %q", comment[len(comment)-1500:])
	}
	if !strings.Contains(comment, "<summary>Commands</summary>") {
		t.Error("the commands are cut off")
	}
	if len(comment) < maxComment-2000 {
		t.Errorf("only %d bytes of %d are used", len(comment), maxComment)
	}
	status.Outputs.SchemaDiff = strings.Repeat("x", 100_000) // one line: nothing whole fits
	checkLimits(t, Render(status))
	status.Outputs.SchemaDiff = strings.Repeat("`", 100_000)
	checkLimits(t, Render(status))
}

func TestManyProblemsAreBounded(t *testing.T) {
	t.Parallel()
	status := cases()["invalid"]
	status.Problems = nil
	for range 400 {
		status.Problems = append(status.Problems, preview.Problem{Path: strings.Repeat("d/", 300), Line: 3,
			Message: strings.Repeat("@", 4000), Hint: strings.Repeat("#", 4000)})
	}
	status.ConfigProblems = status.Problems
	status.Outputs.Migrations = make([]string, 500)
	for i := range status.Outputs.Migrations {
		status.Outputs.Migrations[i] = strings.Repeat("`", 300)
	}
	status.Outputs.BehindParent = status.Outputs.Migrations
	rendering := Render(status)
	checkLimits(t, rendering)
	if !strings.Contains(rendering.Comment, "more") || !strings.Contains(rendering.Comment, "still serves") {
		t.Error("what matters is cut off")
	}
}

func TestEscape(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"plain", "relation \"x\" does not exist", "<p>relation &quot;x&quot; does not exist</p>\n"},
		{"mention", "@octo-dev", "<p>@\u200bocto-dev</p>\n"},
		{"markup", "*a* _b_ `c` ~~d~~ # e", "<p>*a* _b_ `c` ~~d~~ #\u200b e</p>\n"},
		{"html", "<script>x</script>&amp;", "<p>&lt;script&gt;x&lt;/script&gt;&amp;amp;</p>\n"},
		{"image and link", "![a](https://b.example) [c](d)", "<p>![a](https:\u200b//b.example) [c](d)</p>\n"},
		{"bare links", "https://a.example www.b.example ftp://c.example", "<p>https:\u200b//a.example www\u200b.b.example ftp:\u200b//c.example</p>\n"},
		{"lines", "a\n\n# b\r\n- c", "<p>a #\u200b b - c</p>\n"},
		{"list", "- a", "<p>- a</p>\n"},
		{"reordering", "a\u202eb\u200dc\u0007d", "<p>abc d</p>\n"},
		{"mathematics", "$x$", "<p>$x$</p>\n"},
		{"not UTF-8", "a\xffb", "<p>a\ufffdb</p>\n"},
		{"backslash", `\@a \\*`, "<p>\\@\u200ba \\\\*</p>\n"},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, toHTML(t, Escape(test.text))); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestCodeSpan(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"", ""},
		{"a", "<p><code>a</code></p>\n"},
		{"a`b``c", "<p><code>a`b``c</code></p>\n"},
		{"`", "<p><code>`</code></p>\n"},
		{"<b>@octo-dev\n\n# x", "<p><code>&lt;b&gt;@octo-dev # x</code></p>\n"},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, toHTML(t, CodeSpan(test.text))); diff != "" {
			t.Errorf("%q: %s", test.text, diff)
		}
	}
}

// What is remembered of a pull request is plain, short and storable, whatever its title is.
func TestAbout(t *testing.T) {
	t.Parallel()
	known := Published{CheckRunID: 1, Title: "Carts", Branch: "carts"}
	long := strings.Repeat("é", 300)
	tests := []struct {
		name                string
		pr                  preview.PullRequest
		wantTitle, wantHead string
	}{
		{"unknown", preview.PullRequest{}, "Carts", "carts"},
		{"a core environment's push", preview.PullRequest{HeadSHA: "a", HeadRef: "main"}, "Carts", "carts"},
		{"another title", preview.PullRequest{Number: 7, Title: "Sale prices", HeadRef: "sale"}, "Sale prices", "sale"},
		{"invisible characters", preview.PullRequest{Number: 7, Title: " a\x00b\u202ec\n\td\xff ", HeadRef: "x\u200by"}, "a bc d\ufffd", "xy"},
		{"markup", preview.PullRequest{Number: 7, Title: "<b>&", HeadRef: "x"}, "<b>&", "x"},
		{"long", preview.PullRequest{Number: 7, Title: long, HeadRef: long}, strings.Repeat("é", 119) + "…", strings.Repeat("é", 119) + "…"},
	}
	for _, tt := range tests {
		want := Published{CheckRunID: 1, Title: tt.wantTitle, Branch: tt.wantHead}
		if diff := cmp.Diff(want, known.About(tt.pr)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestMergeGroupCheck(t *testing.T) {
	t.Parallel()
	sha := strings.Repeat("d", 40)
	check := MergeGroupCheck(sha)
	if check.Name != CheckName || check.HeadSHA != sha || check.Status != "completed" || check.Conclusion != "neutral" {
		t.Errorf("%+v", check)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add(hostile)
	f.Add("``` @a\n|")
	f.Fuzz(func(t *testing.T, text string) {
		page := toHTML(t, "x "+Escape(text)+" y\n\n"+CodeSpan(text)+"\n")
		checkInert(t, page)
		if strings.Count(page, "<p>") > 2 {
			t.Fatalf("more than a line: %q", page)
		}
	})
}

func FuzzRender(f *testing.F) {
	f.Add(hostile, "ready", 1)
	f.Add("````\n</details>", "invalid", 3)
	f.Fuzz(func(t *testing.T, text, phase string, count int) {
		s := cases()["ready"]
		s.Phase, s.Reason = Phase(phase), text
		for range min(max(count, 0), 30) {
			s.Problems = append(s.Problems, preview.Problem{Path: text, Line: count, Message: text, Hint: text})
			s.Outputs.Migrations = append(s.Outputs.Migrations, text)
		}
		s.Outputs.SchemaDiff, s.Outputs.URL, s.Outputs.DataReset = text, text, text
		s.Outputs.Files, s.Outputs.DatabaseName, s.Outputs.BehindParent = []string{text}, text, []string{text}
		s.Steps = []Step{{Name: text, Op: text, Error: text}}
		s.PullRequest.URL, s.DetailsURL, s.Environment.GoodSHA, s.Environment.Name = text, text, text, text
		r := Render(s)
		checkLimits(t, r)
		if strings.Count(r.Comment, "<!-- flaresmith:") != 1 && !strings.Contains(text, "<!--") {
			t.Fatal("the marker is not there exactly once")
		}
		if !strings.HasPrefix(r.Comment, CommentMarker(s.Environment.ID)+"\n") {
			t.Fatal("the marker is not first")
		}
		for _, markdown := range []string{r.Comment, r.Check.Summary, r.Check.Text} {
			page := toHTML(t, markdown)
			checkInert(t, page)
			if strings.Count(page, "<details>") != strings.Count(page, "</details>") {
				t.Fatal("a folded part does not end")
			}
		}
	})
}

// checkLimits are GitHub's, and ours for a title.
func checkLimits(t *testing.T, r Rendering) {
	t.Helper()
	at := func(what, text string, limit int) {
		if n := utf8.RuneCountInString(text); n > limit || !utf8.ValidString(text) {
			t.Errorf("%s has %d characters, at most %d; valid UTF-8: %t", what, n, limit, utf8.ValidString(text))
		}
	}
	at("comment", r.Comment, 65_535)
	at("title", r.Check.Title, 80)
	at("summary", r.Check.Summary, 65_535)
	at("text", r.Check.Text, 65_535)
	if r.Deployment != nil {
		at("description", r.Deployment.Description, 140)
	}
	if len(r.Check.Actions) > 3 {
		t.Errorf("%d actions", len(r.Check.Actions))
	}
	for _, action := range r.Check.Actions {
		at("label", action.Label, 20)
		at("action's description", action.Description, 40)
		at("identifier", action.Identifier, 20)
	}
}

var (
	code    = regexp.MustCompile(`(?s)<code.*?</code>`)
	mention = regexp.MustCompile(`@[A-Za-z0-9]`)
	active  = regexp.MustCompile(`(?i)<(script|img|iframe|style|form|input|svg|h1|h2)|href="(?:javascript|data|vbscript)|<a href="[^"]*evil`)
)

// checkInert looks at a page as GitHub's Markdown gives it, outside of code.
func checkInert(t *testing.T, page string) {
	t.Helper()
	page = code.ReplaceAllString(page, "")
	if found := active.FindString(page); found != "" {
		t.Fatalf("%q in %q", found, page)
	}
	if found := mention.FindString(page); found != "" {
		t.Fatalf("mention %q in %q", found, page)
	}
}

// toHTML renders as GitHub does, with HTML passed through.
func toHTML(t *testing.T, markdown string) string {
	t.Helper()
	var b bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe())).
		Convert([]byte(markdown), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
