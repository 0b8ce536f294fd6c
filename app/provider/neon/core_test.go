package neon_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/neon"
	sim "github.com/flaresmith/flaresmith/app/sim/neon"
)

const comment = `SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = current_database()`

// longLivedEnvironment converges branches of the operator's: nothing of them is made, renamed, reset or deleted, no password changes, and
// no seed runs.
func longLivedEnvironment(t *testing.T, s *sim.Server) {
	t.Helper()
	post(t, s, `{"branch": {"name": "develop"}, "endpoints": [{"type": "read_write"}]}`)
	opened := func() *neon.Branches {
		t.Helper()
		p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Look: look, Dial: s.Dial, Roots: s.Certificates(), Transport: http.DefaultTransport,
			Forbidden: []string{"develop", "staging"}, Core: map[preview.EnvironmentKind]string{preview.EnvironmentDev: "develop", preview.EnvironmentStaging: "staging"}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	environment := func(kind preview.EnvironmentKind) preview.Resource {
		return preview.Resource{LongLived: map[preview.EnvironmentKind]string{preview.EnvironmentDev: "develop", preview.EnvironmentStaging: "staging"}[kind],
			Kind: preview.KindDatabase, Name: preview.CoreName("conform", kind), Parent: "main", Digest: "1", Keep: true,
			Mark: preview.Mark{Project: uuid.NewString(), Environment: uuid.NewString()}}
	}
	observe := func(p *neon.Branches, r preview.Resource) preview.Observed {
		t.Helper()
		seen, err := p.Observe(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	p, dev := opened(), environment(preview.EnvironmentDev)
	seen := observe(p, dev)
	uri := seen.Outputs.DatabaseURL.Reveal()
	if !seen.Exists || !seen.Owned || seen.Digest != "" || uri == "" {
		t.Fatalf("a branch that is nobody's yet: %+v", seen)
	}
	execute(t, s, uri, `DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS ''what we test with''', current_database()); END $$`)
	before := writes(s)
	outputs := apply(t, p, dev)
	if after := writes(s); outputs.DatabaseURL.Reveal() != uri || !outputs.DatabaseMarked || after != before {
		t.Errorf("%s writes became %s, and it has another address: %v", before, after, outputs.DatabaseURL.Reveal() != uri)
	}
	if text := value(t, s, uri, comment); !strings.Contains(text, "what we test with") || preview.ParseDatabaseMark(text) != dev.Mark {
		t.Errorf("the comment is %s", text)
	}

	// It is migrated, without the seed, and a second pass finds nothing to do, also in another process.
	schema, source := schemaOf(dev, "s1"), migrations()
	schema.Layout.Seed = "seed.sql"
	maps.Copy(source, files("seed.sql", "INSERT INTO notes VALUES (2, 'seed');"))
	if applied := migrate(t, p, schema, source); len(applied.Migrations) != 2 || applied.SchemaDiff != "" {
		t.Errorf("migrated: %+v", applied)
	}
	if n := value(t, s, uri, "SELECT count(*)::text FROM notes"); n != "1" {
		t.Errorf("%s rows", n)
	}
	again := opened()
	before = writes(s)
	if seen := observe(again, dev); seen.Digest != dev.Digest || seen.Outputs.DatabaseURL.Reveal() != uri {
		t.Errorf("observed: %+v", seen)
	}
	if seen, err := again.Schema().Observe(t.Context(), schema); err != nil || seen.Digest != "s1" || !seen.Owned || writes(s) != before {
		t.Errorf("schema: %+v %v", seen, err)
	}
	rewritten := schema
	rewritten.Digest = "s2"
	_, err := p.Schema().Apply(t.Context(), rewritten, preview.Inputs{Source: files("drizzle/0001_notes.sql", "CREATE TABLE notes (id int);")})
	if preview.Classify(err) != preview.ClassInvalid {
		t.Errorf("a rewritten migration: %v", err)
	}

	// Protected, as production is.
	s.Change("develop", func(b *sim.Branch) { b.Protected = true })
	maps.Copy(source, files("drizzle/0003_last.sql", "CREATE TABLE last (id int);"))
	if applied := migrate(t, p, rewritten, source); !slices.Equal(applied.Migrations, []string{"0003_last.sql"}) {
		t.Errorf("migrated: %+v", applied)
	}
	s.Change("develop", func(b *sim.Branch) { b.Protected = false })

	// Another environment can't have it, and nobody deletes it.
	other := environment(preview.EnvironmentDev)
	if _, err := opened().Observe(t.Context(), other); !errors.Is(err, preview.ErrConflict) || preview.Classify(err) != preview.ClassInvalid {
		t.Errorf("another environment's: %v", err)
	}
	before = writes(s)
	if _, err := opened().Apply(t.Context(), other, preview.Inputs{}); !errors.Is(err, preview.ErrConflict) {
		t.Errorf("claimed by another: %v", err)
	}
	if _, err := opened().Schema().Apply(t.Context(), schemaOf(other, "s1"), preview.Inputs{Source: migrations()}); !errors.Is(err, preview.ErrConflict) {
		t.Errorf("migrated by another: %v", err)
	}
	if err := opened().Schema().Delete(t.Context(), schemaOf(other, "s1")); !errors.Is(err, preview.ErrConflict) {
		t.Errorf("forgotten by another: %v", err)
	}
	if err := p.Delete(t.Context(), dev); err == nil || !slices.Contains(s.Names(), "develop") {
		t.Errorf("deleted: %v", err)
	}
	if found, err := p.List(t.Context()); err != nil || slices.ContainsFunc(found, func(f preview.Found) bool { return f.Mark == dev.Mark }) {
		t.Errorf("listed: %v %v", found, err)
	}
	if after := writes(s); after != before {
		t.Errorf("%s writes became %s", before, after)
	}

	// A copy brings the comment along, and is nobody's.
	id := ""
	child := resource(t)
	child.Parent = "develop"
	apply(t, p, child)
	s.Change(child.Name, func(b *sim.Branch) { id = b.Parent })
	named, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Production: []string{"develop"}})
	if err != nil {
		t.Fatal(err)
	}
	another := dev
	another.LongLived = id
	if _, err := named.Observe(t.Context(), another); err == nil || !strings.Contains(err.Error(), "production") {
		t.Errorf("production by its id: %v", err)
	}
	misnamed, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Forbidden: []string{"develop"}, Production: []string{"develop"},
		Core: map[preview.EnvironmentKind]string{preview.EnvironmentDev: "develop"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := misnamed.Observe(t.Context(), dev); err == nil || !strings.Contains(err.Error(), "production") {
		t.Errorf("what another row of the table calls production is dev's branch: %v", err)
	}
	post(t, s, `{"branch": {"name": "staging", "parent_id": "`+id+`"}, "endpoints": [{"type": "read_write"}]}`)
	staging := environment(preview.EnvironmentStaging)
	if seen = observe(p, staging); !seen.Owned || seen.Digest != "" {
		t.Errorf("a copy of a claimed branch: %+v", seen)
	}

	// Of several that claim it at once, one gets it.
	claims := map[preview.Mark]error{}
	var lock sync.Mutex
	var group sync.WaitGroup
	for range 6 {
		rival, own := environment(preview.EnvironmentStaging), opened()
		group.Go(func() {
			_, err := own.Apply(t.Context(), rival, preview.Inputs{})
			lock.Lock()
			defer lock.Unlock()
			claims[rival.Mark] = err
		})
	}
	group.Wait()
	text := value(t, s, observe(p, dev).Outputs.DatabaseURL.Reveal(), comment)
	if preview.ParseDatabaseMark(text) != dev.Mark {
		t.Errorf("the comment of the other branch is %s", text)
	}
	text = value(t, s, seen.Outputs.DatabaseURL.Reveal(), comment)
	winner := preview.ParseDatabaseMark(text)
	for mark, err := range claims {
		if mark == winner && err != nil || mark != winner && !errors.Is(err, preview.ErrConflict) {
			t.Errorf("claimed at once, and by the winner %v: %v", mark == winner, err)
		}
	}
	if _, ok := claims[winner]; !ok || strings.Count(text, "what we test with") != 1 {
		t.Errorf("the comment is %s", text)
	}

	// The operator gives the owner another password, which no session of ours has met yet.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/projects/"+s.ProjectID()+"/branches/"+id+"/roles/"+
		value(t, s, uri, "SELECT current_user::text")+"/reset_password", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+apiKey)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	renewed := observe(p, dev)
	if now := renewed.Outputs.DatabaseURL.Reveal(); answer.StatusCode != http.StatusOK || now == uri {
		t.Errorf("%s: the Worker gets the password of yesterday: %v", answer.Status, now == uri)
	}
	if outputs.LoginDigest == "" || renewed.Outputs.LoginDigest == outputs.LoginDigest || strings.Contains(uri, outputs.LoginDigest) {
		t.Errorf("the two passwords are told apart by %q and %q", outputs.LoginDigest, renewed.Outputs.LoginDigest)
	}
	if again := observe(opened(), dev); again.Digest != dev.Digest || again.Outputs.LoginDigest != renewed.Outputs.LoginDigest {
		t.Errorf("with that password, in another process: %+v", again)
	}

	// Names move: the branch that was named first is still there.
	s.Change("develop", func(b *sim.Branch) { b.Name = "elsewhere" })
	if _, err := p.Apply(t.Context(), dev, preview.Inputs{}); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("renamed: %v", err)
	}
	s.Change("staging", func(b *sim.Branch) { b.Name = "develop" })
	if _, err := p.Apply(t.Context(), dev, preview.Inputs{}); err == nil || !strings.Contains(err.Error(), "restart the server") {
		t.Errorf("another branch has its name: %v", err)
	}
	if findings := p.Diagnose(t.Context(), []string{"main"}); len(findings) != 4 || findings[2].OK || findings[3].OK {
		t.Errorf("diagnosed: %+v", findings)
	}
}
