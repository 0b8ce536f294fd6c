package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

var update = flag.Bool("update", false, "write the golden files anew")

// cases are the statuses whose renderings are kept under testdata, a folder a case.
func cases() map[string]Status {
	moment := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	base := Status{
		Phase:   PhaseReady,
		Project: preview.Project{ID: "p", Owner: "octo", Name: "shop"},
		Environment: preview.Environment{ID: "0b5cb2a4-0000-4000-8000-000000000007", Kind: preview.EnvironmentPreview,
			Name: "preview-abcdefgh-pr-7", PR: 7, ExpiresAt: moment.Add(72 * time.Hour), GoodSHA: strings.Repeat("a", 40)},
		PullRequest: preview.PullRequest{Number: 7, HeadSHA: strings.Repeat("a", 40), URL: "https://github.example/octo/shop/pull/7"},
		Outputs: preview.Outputs{DatabaseName: "preview-abcdefgh-pr-7", URL: "http://preview-abcdefgh-pr-7.localhost:8080",
			Migrations: []string{"0002_orders", "0003_total"}, Files: []string{"shop.postman_collection.json", "preview.postman_environment.json"},
			SchemaDiff: "CREATE TABLE \"orders\" (\n\t\"id\" serial PRIMARY KEY\n);\n"},
		Now: moment,
	}
	with := func(change func(*Status)) Status {
		s := base
		change(&s)
		return s
	}
	bare := func(phase Phase, reason string) Status {
		return with(func(s *Status) {
			s.Phase, s.Reason, s.Outputs, s.Environment.GoodSHA = phase, reason, preview.Outputs{}, ""
		})
	}
	problems := []preview.Problem{
		{Path: "src/index.ts", Line: 12, Column: 5, Message: `Expected ";" but found "x"`, Hint: "Fix the syntax error."},
		{Path: "drizzle/0003_total.sql", Line: 1, Message: `relation "order" does not exist`},
	}
	destructive := []preview.Problem{
		{Path: "drizzle/0003_total.sql", Line: 3, Message: "Drops the column total of the table orders: its values are lost, and code that still uses it fails.",
			Hint: "First deploy code that no longer uses it; drop it in a later pull request, with a backup at hand."},
		{Path: "drizzle/0003_total.sql", Line: 5, Message: "Deletes every row of the table <b>@octo-dev.", Hint: "Name the rows in a WHERE clause."},
	}
	warnings := []preview.Problem{
		{Path: "drizzle/0003_total.sql", Line: 3, Message: "Drops the column total of the table orders.", Warning: true},
		{Path: "drizzle/0009_by_hand.sql", Line: 1, Message: "is not applied: drizzle-kit's journal does not name it", Hint: "run drizzle-kit generate", Warning: true},
	}
	workers := []preview.WorkerURL{{Name: "api", URL: base.Outputs.URL}, {Name: "back-office", URL: "http://preview-abcdefgh-pr-7-back-office.localhost:8080"}}
	return map[string]Status{
		"ready":         base,
		"ready-workers": with(func(s *Status) { s.Outputs.Workers = workers }),
		"invalid-workers": with(func(s *Status) {
			s.Phase, s.Reason, s.Problems, s.Outputs.Workers = PhaseInvalid, "The Worker does not compile.", problems, workers
			s.PullRequest.HeadSHA = strings.Repeat("b", 40)
		}),
		"queued":       bare(PhaseQueued, "All 3 places are taken; this preview is number 2 in the queue."),
		"skipped-fork": bare(PhaseSkipped, "The head is in a fork. Code from forks is not deployed."),
		"needs-action": with(func(s *Status) {
			s.Phase, s.Reason, s.Problems = PhaseNeedsAction, "A pending migration is destructive, and this commit is not approved. Nothing was migrated.", destructive
			s.PullRequest.HeadSHA = strings.Repeat("b", 40)
		}),
		"needs-action-first": with(func(s *Status) {
			s.Phase, s.Reason, s.Problems = PhaseNeedsAction, "A pending migration is destructive, and this commit is not approved. Nothing was migrated.", destructive[:1]
			s.Outputs, s.Environment.GoodSHA = preview.Outputs{DatabaseName: "preview-abcdefgh-pr-7"}, ""
		}),
		"ready-warnings":  with(func(s *Status) { s.Outputs.Warnings = destructive }),
		"ready-unapplied": with(func(s *Status) { s.Outputs.Unapplied = warnings[1:] }),
		"invalid-migration": with(func(s *Status) {
			s.Phase, s.Reason = PhaseInvalid, "A migration does not apply."
			s.Problems = append([]preview.Problem{problems[1]}, warnings...)
		}),
		"policy-broken": with(func(s *Status) {
			s.PolicyProblems = []preview.Problem{{Path: ".github/flaresmith.yml", Line: 2, Column: 3, Message: `The key "preview.ttll" is unknown.`, Hint: `Did you mean "ttl"?`}}
		}),
		"held":    bare(PhaseHeld, "The preview was destroyed by command."),
		"expired": bare(PhaseExpired, "The preview's time is up. Push a commit or comment /flaresmith preview to bring it back."),
		"closed":  bare(PhaseClosed, "The pull request is closed."),
		"working": with(func(s *Status) {
			s.Phase, s.Running = PhaseWorking, []string{"database", "bundle"}
			s.Outputs, s.Environment.GoodSHA = preview.Outputs{}, ""
		}),
		"ready-behind": with(func(s *Status) {
			s.Outputs.BehindParent = []string{"0004_discount"}
			s.Outputs.DataReset = "the migration 0002_orders changed after it was applied"
			s.Steps = []Step{{Name: "database", Op: "create", OK: true, Duration: 1234567 * time.Microsecond},
				{Name: "schema", Op: "update", Error: "timed out | <b>", Duration: 3 * time.Second}}
			s.DetailsURL = "https://flaresmith.example/environments/7"
		}),
		"invalid": with(func(s *Status) {
			s.Phase, s.Reason, s.Problems = PhaseInvalid, "The Worker does not compile.", problems
			s.PullRequest.HeadSHA = strings.Repeat("b", 40)
		}),
		"unavailable": with(func(s *Status) { s.Phase, s.Reason = PhaseUnavailable, "The database provider does not answer." }),
		"outage": with(func(s *Status) {
			s.Phase, s.Reason = PhaseOutage, "The database provider did not answer for 30 minutes."
		}),
		"failed": with(func(s *Status) {
			s.Phase, s.Reason = PhaseFailed, "Something of the same name exists that Flaresmith did not make."
		}),
		"config-change": with(func(s *Status) {
			s.ConfigProblems = []preview.Problem{{Path: ".github/flaresmith.yml", Line: 2, Column: 3,
				Message: `The key "preview.enabeld" is unknown.`, Hint: `Did you mean "enabled"?`}}
		}),
		"core-staging": with(func(s *Status) {
			s.Environment.Kind, s.Environment.Name, s.PullRequest = preview.EnvironmentStaging, "staging-abcdefgh", preview.PullRequest{}
			s.Environment.SHA, s.Environment.ExpiresAt = strings.Repeat("c", 40), time.Time{}
		}),
		"hostile": with(func(s *Status) {
			s.Phase, s.Reason = PhaseInvalid, hostile
			s.Problems = []preview.Problem{{Path: "a`b|c\n.ts", Line: 1, Message: hostile, Hint: hostile}}
			s.Outputs.Migrations = []string{hostile, "`` ```"}
			s.Outputs.SchemaDiff = "-- ````\n</details>\n```\n@octo-dev ![x](https://evil.example/x.png)\n"
			s.Outputs.URL = "javascript:alert(1)"
			s.Outputs.Files = []string{"a|b.json"}
			s.Environment.GoodSHA = "not a commit @octo-dev"
		}),
	}
}

const hostile = "@octo-dev <script>alert(1)</script> ![x](https://evil.example/x.png) [y](javascript:z) https://evil.example www.evil.example " +
	"`a` *b* _c_ ~d~ #1 GH-2 a|b $e$ &lt; octo@evil.example\n# heading\n<!-- flaresmith:preview:other --> \u202egnp.exe"

func TestGolden(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for name, status := range cases() {
		known[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rendering := Render(status)
			check := *rendering.Check
			summary := check.Title + "\n\n" + check.Summary
			if check.Text != "" {
				summary += "\n----\n" + check.Text
			}
			check.Summary, check.Text = "", ""
			var fields bytes.Buffer
			encoder := json.NewEncoder(&fields)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(map[string]any{"check": check, "deployment": rendering.Deployment, "updateOnly": rendering.UpdateOnly}); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", name, "fields.json"), fields.String())
			golden(t, filepath.Join("testdata", name, "summary.md"), summary)
			golden(t, filepath.Join("testdata", name, "comment.md"), rendering.Comment)
		})
	}
	known["replies"], known["fuzz"] = true, true
	entries, err := os.ReadDir("testdata")
	if err != nil && !*update {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !known[entry.Name()] {
			t.Errorf("testdata/%s belongs to no case", entry.Name())
		}
	}
}

func TestGoldenReplies(t *testing.T) {
	t.Parallel()
	ready := cases()["invalid"]
	command := preview.Command{Key: "comment:9", Verb: preview.VerbExtend, Argument: "24h"}
	answers := map[string]Answer{
		"help":       {Kind: AnswerHelp, Command: preview.Command{Key: "comment:1", Verb: preview.VerbHelp}},
		"status":     {Kind: AnswerStatus, Command: command, Status: &ready},
		"no-status":  {Kind: AnswerStatus, Command: command},
		"rebuild":    {Kind: AnswerAccepted, Command: preview.Command{Key: "check:1:rebuild:2026-11-23T10:00:00Z", Verb: preview.VerbRebuild}},
		"reset-db":   {Kind: AnswerAccepted, Command: preview.Command{Key: "comment:2", Verb: preview.VerbResetDB}},
		"destroy":    {Kind: AnswerAccepted, Command: preview.Command{Key: "comment:3", Verb: preview.VerbDestroy}},
		"preview":    {Kind: AnswerAccepted, Command: preview.Command{Key: "comment:4", Verb: preview.VerbPreview}},
		"extended":   {Kind: AnswerExtended, Command: command, Until: time.Date(2026, 11, 27, 10, 30, 0, 0, time.UTC)},
		"refused":    {Kind: AnswerRefused, Command: command, Needs: preview.RoleContributor, Has: preview.RoleViewer},
		"refused-no": {Kind: AnswerRefused, Command: command, Needs: preview.RoleMaintainer, Has: preview.RoleNone},
		"invalid":    {Kind: AnswerInvalid, Command: command, Reason: "24x is no duration @octo-dev."},
		"unknown":    {Kind: AnswerUnknown, Command: preview.Command{Key: "comment:5 --> x", Verb: preview.VerbUnknown, Argument: "dance `@octo-dev`\n<b>"}},
	}
	for name, answer := range answers {
		reply := CommandReply(answer)
		if !strings.HasPrefix(reply, CommandMarker(answer.Command)+"\n") {
			t.Errorf("%s: no marker first", name)
		}
		golden(t, filepath.Join("testdata", "replies", name+".md"), reply)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "replies", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(answers) {
		t.Errorf("%d files for %d replies", len(files), len(answers))
	}
}

// golden compares with a file, or writes it; nothing is kept as no file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if got == "" {
			_ = os.Remove(path)
			return
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil && (got != "" || !os.IsNotExist(err)) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", path, diff)
	}
}
