package migration

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
				got = append(got, st.Text)
				if at := tt.sql[st.Offset:]; !strings.HasPrefix(at, st.Text) {
					t.Errorf("statement %q is said to be at %q", st.Text, at)
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
		if message, _ := st[0].Refusal(); (message != "") != tt.refused {
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
			if st.Offset < end || st.Text == "" || !strings.HasPrefix(sql[st.Offset:], st.Text) {
				t.Fatalf("statement %+v is not at its offset in %q", st, sql)
			}
			end = st.Offset + len(st.Text)
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
		read, err := Read(source, preview.Layout{Migrations: "drizzle"})
		if err != nil && preview.Classify(err) != preview.ClassInvalid {
			t.Fatalf("%q: %v, want an invalid error", journal, err)
		}
		for _, s := range read.Scripts {
			if s.Path != "drizzle/"+s.Name+".sql" || s.Hash == "" {
				t.Fatalf("%q: script %+v", journal, s)
			}
		}
	})
}
