package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/action/secretscan"
	"github.com/flaresmith/flaresmith/codegen/drift"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// TestSecretScan runs the command as main does, and looks at its exit code and what it wrote.
func TestSecretScan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := stripeKey
	if err := os.WriteFile(filepath.Join(dir, "a.env"), []byte("KEY="+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reports := t.TempDir()
	tests := []struct {
		name  string
		args  []string
		input string
		code  int
		out   string // is in what is printed
	}{
		{"findings at the bar", []string{"--dir", dir}, "", exitFound, "a.env:1:5: stripe-access-token (certain)"},
		{"files are written", []string{"--dir", dir, "--format", "json", "--sarif", filepath.Join(reports, "a.sarif"), "--json", filepath.Join(reports, "a.json")}, "", exitFound, "\"complete\": true,\n  \"findings\": [\n"},
		{"nothing in a stream", []string{"--mode", "stdin"}, "hello", exitOK, "0 certain, 0 likely, 0 generic"},
		{"something in a stream", []string{"--mode", "stdin"}, secret, exitFound, "stdin:1:1: stripe"},
		{"below the bar", []string{"--mode", "stdin", "--fail-on", "certain"}, "datadog_key=" + datadogKey + " ", exitOK, "0 certain, 1 likely"},
		{"more than are listed", []string{"--mode", "stdin"}, strings.Repeat(secret+"\n", 10_001), exitFound, "\n10000 certain, 0 likely, 0 generic; the list is cut, and not in it are 1 certain, 0 likely, 0 generic more\n"},
		{"more than are listed, below the bar", []string{"--mode", "stdin", "--fail-on", "certain"}, strings.Repeat("datadog_key="+datadogKey+" \n", 10_001), exitOK, "\n0 certain, 10000 likely, 0 generic; the list is cut, and not in it are 0 certain, 1 likely, 0 generic more\n"},
		{"what a baseline has", []string{"--dir", dir, "--baseline", filepath.Join(reports, "a.json")}, "", exitOK, "0 certain, 0 likely, 0 generic"},
		{"no such baseline", []string{"--dir", dir, "--baseline", filepath.Join(reports, "b.json")}, "", exitFailed, ""},
		{"no such folder", []string{"--dir", filepath.Join(dir, "missing")}, "", exitFailed, "not everything was scanned; found until then: 0 certain, 0 likely, 0 generic"},
		{"no such folder in JSON", []string{"--dir", filepath.Join(dir, "missing"), "--format", "json", "--sarif", filepath.Join(reports, "c.sarif")}, "", exitFailed, `"complete": false`},
		{"no such mode", []string{"--mode", "all"}, "", exitFailed, ""},
		{"a range in another mode", []string{"--dir", dir, "--range", "main..HEAD"}, "", exitFailed, ""},
		{"two reports in one file", []string{"--dir", dir, "--sarif", filepath.Join(reports, "d"), "--json", filepath.Join(reports, "d")}, "", exitFailed, ""},
		{"a folder without a flag", []string{dir}, "", exitFailed, ""},
		{"a file for a folder", []string{"--dir", filepath.Join(dir, "a.env")}, "", exitFailed, ""},
		{"no range", []string{"--mode", "range"}, "", exitFailed, ""},
		{"a cache in another mode", []string{"--mode", "stdin", "--cache", reports}, "hello", exitFailed, ""},
		{"no such tier", []string{"--fail-on", "all"}, "", exitFailed, ""},
		{"no such format", []string{"--format", "xml"}, "", exitFailed, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() && len(test.input) > 1<<16 {
				t.Skip("-short: ten thousand findings of one text are one goroutine's work")
			}
			var out, errs bytes.Buffer
			code := run(t.Context(), streams{strings.NewReader(test.input), &out, &errs}, noEnvironment, append([]string{"secret-scan"}, test.args...)...)
			if diff := cmp.Diff(test.code, code); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(out.String(), test.out) {
				t.Errorf("printed:\n%s", out.String())
			}
			if strings.Contains(out.String()+errs.String(), secret[8:]) {
				t.Error("the secret was printed")
			}
		})
	}
	for _, name := range []string{"a.sarif", "a.json"} {
		text, err := os.ReadFile(filepath.Join(reports, name))
		if err != nil || !bytes.Contains(text, []byte("stripe-access-token")) || bytes.Contains(text, []byte(secret[8:])) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(reports, "c.sarif")); err != nil || !bytes.Contains(text, []byte(`"executionSuccessful": false`)) {
		t.Errorf("SARIF of a scan that failed: %s, %v", text, err)
	}
}

// TestStepTellsOfCutLists has more findings than the report lists: those count as the others do, and the report says so.
func TestStepTellsOfCutLists(t *testing.T) {
	t.Parallel()
	found := []secretscan.Finding{{Rule: "a-rule", Tier: secretscan.Generic}}
	for _, tt := range []struct {
		bar    string
		more   secretscan.Tier
		status string
		code   int
		title  string
	}{
		{"likely", secretscan.Generic, "clean", exitOK, "No secrets at or over the bar (likely); below it: 0 certain, 0 likely, 3 generic"},
		{"likely", secretscan.Likely, "findings", exitFound, "3 secrets found: 0 certain, 2 likely, 1 generic"},
		{never, secretscan.Likely, "clean", exitOK, "No secrets at or over the bar (never); below it: 0 certain, 2 likely, 1 generic"},
	} {
		s := scanStep{bar: tt.bar}
		report, code := s.report(secretscan.NewReport(found, &secretscan.CutError{More: map[secretscan.Tier]int{tt.more: 2}}))
		if report.Status != tt.status || report.Passed != (tt.code == exitOK) || code != tt.code || report.Title != tt.title {
			t.Errorf("%s with 2 %s more: %s, passed %t, code %d, %q", tt.bar, tt.more, report.Status, report.Passed, code, report.Title)
		}
		if want := "The list of findings is cut: 2 more were counted and are in no report."; !slices.Contains(report.Notes, want) {
			t.Errorf("notes %q", report.Notes)
		}
	}
}

// TestNamesSteerNothing has files whose names hold commands to a terminal and to a workflow's runner, some that are found, some
// of which a note tells, and a folder that can't be read; and operations with such names. GitHub's runner takes "::" where a
// line begins, after blanks, and "##[" anywhere.
func TestNamesSteerNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const command, old = "\n::error::\x1b[2J", "##[stop-commands]x"
	key := "KEY=" + stripeKey + "\n"
	for name, text := range map[string]string{"::warning::a": key, " ::stop-commands::x": key, old + "/.env": key, "a" + command + old + ".xz": "\xfd7zXZ\x00"} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Skip(err)
		}
	}
	specs := t.TempDir()
	document := filepath.Join(specs, "openapi.yaml")
	const operations = `openapi: 3.1.0
info: {title: Shop, version: "1"}
paths:
  /a:
    get: {operationId: "a\n::error::x##[stop-commands]x", responses: {"204": {description: gone}}}
    put: {operationId: "a\n::error::x##[stop-commands]x", responses: {"204": {description: gone}}}
`
	if err := os.WriteFile(document, []byte(operations), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	try := func(want int, args ...string) {
		t.Helper()
		if code := run(t.Context(), streams{nil, &out, &errs}, os.Getenv, args...); code != want {
			t.Errorf("%s: exit code %d\n%s", args, code, errs.String())
		}
	}
	try(exitFound, "secret-scan", "--dir", dir)
	try(exitFailed, "secret-scan", "--dir", filepath.Join(dir, "gone"+command+old))
	try(exitFailed, "spec-apply", "--dir", filepath.Join(dir, "gone"+command+old))
	try(exitOK, "spec-apply", "--openapi", document, "--out", filepath.Join(specs, "out"))
	try(exitOK, "spec-apply", "--openapi", document, "--out", filepath.Join(specs, "again"), "--json")
	var report drift.Report
	name := func(note spec.Problem) bool { return strings.Contains(note.Message, "called a\n::error::x"+old+":") }
	if at := strings.Index(out.String(), "\n{"); at < 0 || json.Unmarshal(out.Bytes()[at:], &report) != nil || !slices.ContainsFunc(report.Notes, name) {
		t.Errorf("the JSON report is not whole: %+v", report)
	}
	try(exitFound, "secret-scan", "--dir", dir, "--format", "json")
	printed := out.String() + errs.String()
	for line := range strings.SplitSeq(printed, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") || strings.Contains(line, "\x1b") {
			t.Errorf("printed %q", line)
		}
	}
	if strings.Count(errs.String(), "gone") != 2 || strings.Count(printed, "note:") != 2 || !strings.Contains(printed, "note      ") {
		t.Errorf("printed %q", printed)
	}
}
