package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pg "github.com/flaresmith/flaresmith/app/embedded"
	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
)

// ownCluster is a Postgres server of this test alone: a small limit would close branches of the others.
func ownCluster(t *testing.T) (admin string) {
	t.Helper()
	tools, err := embeddedtest.Tools()
	if err != nil {
		t.Fatal(err)
	}
	binDir, err := tools.Postgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "flaresmith-test-*") //nolint:usetesting // the server's user can't enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	running, err := pg.StartPostgres(t.Context(), pg.PostgresOptions{BinDir: binDir, DataDir: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Stop(context.Background()) })
	return running.URL().Reveal()
}

// TestOvergrownPreview: a preview whose Worker writes too much is closed until it is reset; nothing else is touched.
func TestOvergrownPreview(t *testing.T) {
	t.Parallel()
	admin := ownCluster(t)
	limits := func(c *postgres.Config) {
		c.AdminURL, c.Limits = preview.Secret(admin), postgres.Limits{GrowthMB: 1} // and so twice the twice of some 8 MB
	}
	s := newServer(t, limits)
	execute(t, admin, `CREATE DATABASE parent`)
	newResource := func(keep bool) preview.Resource {
		r := newBranch("parent")
		if r.Keep = keep; keep {
			r.Name = "dev-" + strings.TrimPrefix(r.Name, "preview-")
		}
		return r
	}
	apply := func(s *postgres.Server, r preview.Resource) (string, error) {
		outputs, err := s.Branches().Apply(t.Context(), r, preview.Inputs{})
		return outputs.DatabaseURL.Reveal(), err
	}
	branches := map[string]preview.Resource{"large": newResource(false), "small": newResource(false), "core": newResource(true)}
	urls := map[string]string{}
	for name, r := range branches {
		var err error
		if urls[name], err = apply(s, r); err != nil {
			t.Fatal(err)
		}
	}
	closed := func(s *postgres.Server) []preview.Mark {
		t.Helper()
		marks, err := s.Branches().CloseOvergrown(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return marks
	}
	const fill = `CREATE TABLE big AS SELECT repeat(md5(g::text), 60) AS t FROM generate_series(1, %d) g`
	if got := closed(s); len(got) > 0 {
		t.Fatalf("closed at first: %v", got)
	}
	execute(t, urls["large"], fmt.Sprintf(fill, 24000)) // 50 MB, of 40 that are allowed
	execute(t, urls["core"], fmt.Sprintf(fill, 24000))
	execute(t, urls["small"], fmt.Sprintf(fill, 8000)) // more than its migrations might add
	conn := connect(t, urls["large"])                  // as a Worker holds it

	large := branches["large"]
	if diff := cmp.Diff([]preview.Mark{large.Mark}, closed(s)); diff != "" {
		t.Fatalf("closed (-want +got):\n%s", diff)
	}
	if _, err := conn.Exec(t.Context(), `INSERT INTO big SELECT 'more'`); err == nil {
		t.Error("a session outlived the end")
	}
	if err := try(t, urls["large"], `SELECT 1`); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("a login to the closed database: %v", err)
	}
	for _, open := range []string{urls["small"], urls["core"], admin} {
		execute(t, open, `SELECT 1`)
	}
	if err := try(t, urls["small"], `GRANT CONNECT ON DATABASE "`+large.Name+`" TO "`+large.Name+`"`); err == nil {
		t.Error("another role opened it")
	}
	restarted := newServer(t, limits)
	for name, s := range map[string]*postgres.Server{"the same process": s, "another process": restarted} {
		if got := closed(s); len(got) > 0 {
			t.Errorf("%s: closed again: %v", name, got)
		}
		observed, err := s.Branches().Observe(t.Context(), large)
		if err != nil || !observed.Owned || observed.Digest != "" {
			t.Errorf("%s: observed %+v, %v", name, observed, err)
		}
		_, err = apply(s, large)
		want := []preview.Problem{{Message: "the preview's database has grown too large, and its Worker can't reach it any more"}}
		if diff := cmp.Diff(want, problems(t, err)); diff != "" {
			t.Errorf("%s: problems (-want +got):\n%s", name, diff)
		}
		if err := try(t, urls["large"], `SELECT 1`); err == nil {
			t.Errorf("%s: Apply opened it", name)
		}
	}

	large.Reset = true // the way out
	url, err := apply(s, large)
	if err != nil {
		t.Fatal(err)
	}
	large.Reset = false
	if _, err := apply(s, large); err != nil {
		t.Error(err)
	}
	if got := value(t, url, `SELECT count(*) FROM pg_tables WHERE tablename = 'big'`); got != "0" || url != urls["large"] {
		t.Errorf("after the reset: %s tables, another URL: %t", got, url != urls["large"])
	}
	if got := closed(s); len(got) > 0 {
		t.Errorf("closed after the reset: %v", got)
	}

	// Where the parent is gone nothing could be reset, and nothing is closed.
	execute(t, admin, `DROP DATABASE parent`)
	execute(t, urls["small"], fmt.Sprintf(strings.Replace(fill, "big", "more", 1), 24000))
	if got := closed(s); len(got) > 0 {
		t.Errorf("closed when the parent was gone: %v", got)
	}
	for _, r := range branches {
		if err := s.Branches().Delete(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
}
