//go:build linux

package server

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// workerPassword reads the password of the preview's database where alone it may be: in the
// environment of the Worker's process.
func workerPassword(t *testing.T, name string) string {
	t.Helper()
	password, _ := workerProcess(t, name)
	return password
}

// workerProcess is workerPassword with the process's id.
func workerProcess(t *testing.T, name string) (password string, pid int) {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for variable := range bytes.SplitSeq(text, []byte{0}) {
			_, value, _ := strings.Cut(string(variable), "=")
			u, err := url.Parse(value)
			if err == nil && u.User != nil && u.User.Username() == name {
				password, _ := u.User.Password()
				pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
				return password, pid
			}
		}
	}
	t.Skip("the environment of the Worker's process can't be read")
	return "", 0
}

// TestSecretsStayInside makes previews tell their database's password in every way they have, and
// looks for it, and for the server's own secrets, in everything that is kept or shown.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w, _ := newLocalWorld(t, sampleFiles(), `CREATE TABLE items (id int PRIMARY KEY)`)
	commit := func(files map[string]string) string {
		t.Helper()
		sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/leak", files, "leak")
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	talkative := `export default { fetch(request, env) { console.log(env.DATABASE_URL); console.error(JSON.stringify(env)); return new Response("two"); } };`
	good := commit(map[string]string{"src/index.js": talkative})
	pr, err := w.github.OpenPR(testRepo, "Leak", "feature/leak", "", "octo-dev")
	if err != nil {
		t.Fatal(err)
	}
	w.wantCheck(good, "success")
	w.settle()
	name := w.environment(pr).Name
	w.ask(name)
	password := workerPassword(t, name)

	shas := []string{good}
	for _, files := range []map[string]string{
		{"src/index.js": `import { env } from "cloudflare:workers"; console.error(env.DATABASE_URL); throw new Error("cannot reach " + env.DATABASE_URL); export default {};`},
		{"src/index.js": talkative, "drizzle/0000_tell.sql": "DO $$ BEGIN RAISE EXCEPTION 'password " + password + "'; END $$;",
			"drizzle/meta/_journal.json": `{"version":"7","dialect":"postgresql","entries":[{"idx":0,"version":"7","when":1790000000000,"tag":"0000_tell","breakpoints":true}]}`},
	} {
		sha := commit(files)
		w.wantCheck(sha, "failure")
		w.settle()
		shas = append(shas, sha)
	}

	admin, err := url.Parse(embeddedtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"the preview's password": password, "the webhook secret": testSecret, "the App's key": "PRIVATE KEY", "a connection string": "postgres://"}
	if own, _ := admin.User.Password(); len(own) > 0 && own != "postgres" {
		secrets["the administrator's password"] = own
	}
	look := func(where, text string) {
		t.Helper()
		for what, secret := range secrets {
			// What a person wrote into the repository is theirs to tell: the commit holds it already.
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s", where, what)
			}
		}
	}
	for _, c := range comments(t, w, pr) {
		look("a comment", c.Body)
	}
	for _, sha := range shas {
		runs, err := w.github.CheckRuns(testRepo, sha)
		if err != nil {
			t.Fatal(err)
		}
		look("a check run", fmt.Sprintf("%+v", runs))
	}
	deployments, err := w.github.Deployments(testRepo)
	if err != nil {
		t.Fatal(err)
	}
	look("a deployment", fmt.Sprintf("%+v", deployments))
	for _, table := range query(t, w.config["DATABASE_URL"], `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`) {
		if table == "public.deliveries" {
			continue // what GitHub sent, which holds what is on GitHub already
		}
		look("table "+table, strings.Join(query(t, w.config["DATABASE_URL"], `SELECT to_jsonb(x)::text FROM `+table+` x`), "\n"))
	}
	err = filepath.WalkDir(w.server.config.DataDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		look("file "+filepath.Base(path), string(text))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		text, _ := os.ReadFile(file)
		if bytes.Contains(text, []byte(password)) || bytes.Contains(text, []byte(testSecret)) {
			t.Errorf("the arguments of a process hold a secret: %.80q", text)
		}
	}
	for _, line := range w.server.workers.Logs(name) {
		look("the Worker's log", line.Text)
	}
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.wantNothingLeft(name)
}
