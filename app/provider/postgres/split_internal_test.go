package postgres

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, sql string
		want      []string
	}{
		{"nothing", " \n-- only a comment; really\n/* and /* nested; */ ; */ ;;", nil},
		{"plain", "SELECT 1; SELECT 2", []string{"SELECT 1", "SELECT 2"}},
		{"quotes", `SELECT 'a;''b;', "c;""d;"; SELECT 2`, []string{`SELECT 'a;''b;', "c;""d;"`, "SELECT 2"}},
		{"escapes", `SELECT E'a\';b'; SELECT 'a\'; SELECT 3`, []string{`SELECT E'a\';b'`, `SELECT 'a\'`, "SELECT 3"}},
		{"dollars", "SELECT $$a;b$$, $t$;$$;$t$, a$b; SELECT $1;", []string{"SELECT $$a;b$$, $t$;$$;$t$, a$b", "SELECT $1"}},
		{"comment inside", "SELECT 1 -- a;b\n + 2; SELECT 3", []string{"SELECT 1 -- a;b\n + 2", "SELECT 3"}},
		{"parentheses", "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3", []string{"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"}},
		{"atomic", "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
			[]string{"CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END", "SELECT 3"}},
		{"unterminated", "SELECT 1; SELECT 'a; b", []string{"SELECT 1", "SELECT 'a; b"}},
		{"breakpoint is a comment", "SELECT 1;--> statement-breakpoint\nSELECT 2;", []string{"SELECT 1", "SELECT 2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, st := range split(tt.sql, 0) {
				got = append(got, st.text)
				if at := tt.sql[st.offset:]; !strings.HasPrefix(at, st.text) {
					t.Errorf("statement %q is said to be at %q", st.text, at)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sql     string
		refused bool
	}{
		{"COMMIT", true},
		{"/* x */ commit AND CHAIN", true},
		{"Begin", true},
		{"START TRANSACTION", true},
		{"END", true},
		{"ABORT", true},
		{"ROLLBACK", true},
		{"ROLLBACK WORK", true},
		{"ROLLBACK PREPARED 'x'", true},
		{"PREPARE TRANSACTION 'x'", true},
		{"COPY t FROM STDIN", true},
		{"ROLLBACK TO SAVEPOINT a", false},
		{"ROLLBACK TRANSACTION TO a", false},
		{"SAVEPOINT a", false},
		{"PREPARE p AS SELECT 1", false},
		{"COPY t FROM PROGRAM 'x'", false}, // the server refuses it
		{`SELECT 'COMMIT'`, false},
	}
	for _, tt := range tests {
		st := split(tt.sql, 0)
		if len(st) != 1 {
			t.Fatalf("%s: %d statements", tt.sql, len(st))
		}
		if message, _ := st[0].refusal(); (message != "") != tt.refused {
			t.Errorf("%s: refusal %q, want refused %t", tt.sql, message, tt.refused)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"SELECT 1; SELECT $a$;$a$", "'", "/*/*", "$$", "E'\\", "create function f begin atomic end;", "((;", "--", "\"é;\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		end := 0
		for _, st := range split(sql, 0) {
			if st.offset < end || st.text == "" || !strings.HasPrefix(sql[st.offset:], st.text) {
				t.Fatalf("statement %+v is not at its offset in %q", st, sql)
			}
			end = st.offset + len(st.text)
		}
	})
}

func FuzzReadFolder(f *testing.F) {
	f.Add(`{"entries":[{"idx":0,"when":1700000000000,"tag":"0000_one"}]}`)
	f.Add(`{"entries":[{"tag":"../x"},{"tag":"a/b"},{"tag":""}]}`)
	f.Add(`{"entries":[{"when":1e99,"tag":"0000_one"}]}`)
	f.Add(`[`)
	f.Fuzz(func(t *testing.T, journal string) {
		source := fstest.MapFS{"drizzle/meta/_journal.json": {Data: []byte(journal)}, "drizzle/0000_one.sql": {Data: []byte("SELECT 1")}}
		read, err := readFolder(source, preview.Layout{Migrations: "drizzle"})
		if err != nil && preview.Classify(err) != preview.ClassInvalid {
			t.Fatalf("%q: %v, want an invalid error", journal, err)
		}
		for _, s := range read.scripts {
			if s.path != "drizzle/"+s.name+".sql" || s.hash == "" {
				t.Fatalf("%q: script %+v", journal, s)
			}
		}
	})
}

func TestCompare(t *testing.T) {
	t.Parallel()
	row := func(name, hash string) applied { return applied{format: preview.MigrationsSQL, name: name, hash: hash} }
	file := func(name, hash string) script { return script{name: name, hash: hash} }
	tests := []struct {
		name           string
		scripts        []script
		branch, parent []applied
		pending        []string
		reset          string
		behind         []string
	}{
		{name: "fresh", scripts: []script{file("1", "a"), file("2", "b")}, branch: []applied{row("1", "a")}, parent: []applied{row("1", "a")}, pending: []string{"2"}},
		{name: "changed", scripts: []script{file("1", "x")}, branch: []applied{row("1", "a")}, reset: "migration 1 changed after it was applied"},
		{name: "vanished", branch: []applied{row("1", "a")}, reset: "migration 1 was applied and is no longer there"},
		{name: "changed in the parent too", scripts: []script{file("1", "x")}, branch: []applied{row("1", "a")}, parent: []applied{row("1", "a")}},
		{name: "behind", scripts: []script{file("2", "b")}, branch: []applied{row("2", "b")}, parent: []applied{row("1", "a")}, behind: []string{"1"}},
		{name: "other format", scripts: []script{file("2", "b")}, branch: []applied{{format: preview.MigrationsDrizzle, when: 1000, hash: "abcdefghij"}},
			reset: "migration 1970-01-01 00:00:01 UTC (abcdefgh) was applied and is no longer there"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := compare(folder{format: preview.MigrationsSQL, scripts: tt.scripts}, tt.branch, tt.parent)
			var pending []string
			for _, s := range d.pending {
				pending = append(pending, s.name)
			}
			if diff := cmp.Diff(tt.pending, pending); diff != "" {
				t.Errorf("pending: %s", diff)
			}
			if d.reset != tt.reset {
				t.Errorf("reset %q, want %q", d.reset, tt.reset)
			}
			if tt.reset != "" {
				return
			}
			if diff := cmp.Diff(append([]string{}, tt.behind...), behind(tt.branch, tt.parent)); diff != "" {
				t.Errorf("behind: %s", diff)
			}
		})
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ALTER TABLE x;\n", 2000)
	got := truncate(long, maxDiff)
	if len(got) > maxDiff || !strings.HasSuffix(got, ";\n"+diffCut) {
		t.Errorf("truncated to %d bytes, ending in %q", len(got), got[len(got)-40:])
	}
	if short := "a\n"; truncate(short, maxDiff) != short {
		t.Error("short text is changed")
	}
}
