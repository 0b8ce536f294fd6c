package neon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/neon"
	"github.com/flaresmith/flaresmith/app/racetest"
	sim "github.com/flaresmith/flaresmith/app/sim/neon"
)

// refused reports that a login fails for its password.
func refused(t *testing.T, s *sim.Server, uri string) bool {
	t.Helper()
	conn, err := connect(t.Context(), s, uri)
	if err == nil {
		_ = conn.Close(t.Context())
		return false
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "28P01" {
		t.Fatalf("login: %v", err)
	}
	return true
}

// The parent's password must not open the child, whether it is new, adopted or reset, nor the other way round.
func TestParentsPasswordDoesNotOpenTheChild(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	execute(t, s, s.RootURI(), `COMMENT ON DATABASE neondb IS '{"mark": {"project": "a", "environment": "production"}}'`) // a copy has it, too, at first
	p := provider(t, s)
	r := resource(t)
	check := func(when string, outputs preview.Outputs) {
		t.Helper()
		child := outputs.DatabaseURL.Reveal()
		u, err := url.Parse(child)
		if err != nil {
			t.Fatal("the connection string does not parse")
		}
		if !strings.Contains(u.Hostname(), "-pooler.") || u.Query().Get("sslmode") != "require" {
			t.Errorf("%s: the Worker's address is not the pooler's, or without TLS", when)
		}
		conn, err := connect(t.Context(), s, child)
		if err != nil {
			t.Fatalf("%s: the child: %v", when, err)
		}
		var comment string // that the Worker's identity is judged by
		if err := conn.QueryRow(t.Context(), `SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()`).Scan(&comment); err != nil {
			t.Fatalf("%s: the comment on the database: %v", when, err)
		}
		if got := preview.ParseDatabaseMark(comment); got != r.Mark || !outputs.DatabaseMarked {
			t.Errorf("%s: the database says that it is of %+v, and the outputs that it is marked: %t", when, got, outputs.DatabaseMarked)
		}
		_ = conn.Close(t.Context())
		parent, err := url.Parse(s.RootURI())
		if err != nil {
			t.Fatal("the parent's connection string does not parse")
		}
		own := u.User
		u.User = parent.User
		if !refused(t, s, u.String()) {
			t.Errorf("%s: the parent's password opens the child", when)
		}
		parent.User = own
		if !refused(t, s, parent.String()) {
			t.Errorf("%s: the child's password opens the parent", when)
		}
	}
	check("new", apply(t, p, r))
	r.Reset = true
	check("reset", apply(t, p, r))
	r.Reset = false
	p = provider(t, s)
	check("after a restart", apply(t, p, r))
	before := writes(s)
	if seen, err := p.Observe(t.Context(), r); err != nil || seen.Digest != r.Digest || writes(s) != before {
		t.Errorf("observed: %+v, %v", seen, err)
	}

	// Somebody resets it at Neon's console.
	<-time.After(1100 * time.Millisecond) // times are whole seconds
	resetByHand(t, s, r.Name)
	unrenewed := func(when string) {
		t.Helper()
		for _, p := range []*neon.Branches{p, provider(t, s)} {
			if seen, err := p.Observe(t.Context(), r); err != nil || !seen.Exists || seen.Digest != "" || seen.Outputs.DatabaseURL != "" {
				t.Errorf("observed %s somebody's reset: %+v, %v", when, seen, err)
			}
		}
	}
	unrenewed("during")
	settled(t, s)
	unrenewed("after")
	check("reset by somebody else", apply(t, p, r))
	if seen, err := p.Observe(t.Context(), r); err != nil || seen.Digest != r.Digest {
		t.Errorf("observed: %+v, %v", seen, err)
	}
}

// Every role that can log in gets another password, one that can't, as those of Neon's Data API, needs none and can have none.
func TestRoles(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p, r := provider(t, s), resource(t)
	r.Parent = "develop"
	post(t, s, `{"branch": {"name": "develop"}}`)
	settled(t, s)
	roles := "/branches/" + branchNamed(t, s, r.Parent).ID + "/roles"
	send(t, s, http.MethodPost, roles, `{"role": {"name": "read/er %2F?"}}`)
	send(t, s, http.MethodPost, roles, `{"role": {"name": "authenticated", "no_login": true}}`)
	before := len(s.Requests())
	_ = apply(t, p, r)
	renewed := slices.DeleteFunc(s.Requests()[before:], func(request string) bool { return !strings.HasSuffix(request, "/reset_password") })
	if len(renewed) != 2 {
		t.Errorf("%d passwords were renewed, of the owner and of reader it should be 2", len(renewed))
	}
	r.Reset = true
	_ = apply(t, p, r)
}

// rewritten is a provider that reads another text in Neon's answers at paths that end so.
func rewritten(t *testing.T, s *sim.Server, path, text, another string) *neon.Branches {
	t.Helper()
	p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Look: look, Dial: s.Dial, Roots: s.Certificates(),
		Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
			answer, err := http.DefaultTransport.RoundTrip(request)
			if err != nil || !strings.HasSuffix(request.URL.Path, path) {
				return answer, err
			}
			defer func() { _ = answer.Body.Close() }()
			said, err := io.ReadAll(answer.Body)
			said = bytes.ReplaceAll(said, []byte(text), []byte(another))
			answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(said)), int64(len(said))
			return answer, err
		})})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A branch whose owner gets no password of its own, as Neon says that nobody logs in as that role, is never finished, nor gone on with: what
// connects there would do so with the parent's.
func TestOwnerWithoutPassword(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	r := resource(t)
	for _, path := range []string{"/branches", "/roles"} { // at its creation, and when another try goes on with it
		p := rewritten(t, s, path, `"authentication_method":"password"`, `"authentication_method":"no_login"`)
		outputs, err := p.Apply(t.Context(), r, preview.Inputs{})
		if err == nil || !strings.Contains(err.Error(), "has no password at Neon") || outputs.DatabaseURL != "" {
			t.Errorf("%s: %v, and a connection string: %t", path, err, outputs.DatabaseURL != "")
		}
		if slices.Contains(s.Names(), r.Name) {
			t.Errorf("%s: the branch counts as finished", path)
		}
	}
}

// A finished branch stays, whatever state Neon says that it is in: it has been reset by somebody, and may be a long-lived environment's.
func TestStateThatIsNotReady(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	p := provider(t, s)
	r := resource(t)
	r.Name, r.Keep = preview.CoreName("conform", preview.EnvironmentStaging), true
	apply(t, p, r)
	<-time.After(1100 * time.Millisecond) // times are whole seconds
	resetByHand(t, s, r.Name)
	settled(t, s)
	archived := rewritten(t, s, "/branches", `"current_state":"ready"`, `"current_state":"archived"`)
	if _, err := archived.Apply(t.Context(), r, preview.Inputs{}); preview.Classify(err) != preview.ClassTransient || !slices.Contains(s.Names(), r.Name) {
		t.Errorf("%v; there are %v", err, s.Names())
	}
	_ = apply(t, p, r)
}

// A reset ends although Neon tells of the branch a moment later than of its operations that it has ended: nobody resets it again for that.
func TestResetIsToldLate(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	r := resource(t)
	apply(t, provider(t, s), r)
	var late, resets atomic.Int64
	p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Look: look, Dial: s.Dial, Roots: s.Certificates(),
		Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
			answer, err := http.DefaultTransport.RoundTrip(request)
			if strings.HasSuffix(request.URL.Path, "/restore") {
				late.Store(2)
				resets.Add(1)
			}
			if err != nil || !request.URL.Query().Has("search") || late.Add(-1) < 0 {
				return answer, err
			}
			defer func() { _ = answer.Body.Close() }()
			said, err := io.ReadAll(answer.Body)
			said = bytes.ReplaceAll(said, []byte(`"current_state":"ready"`), []byte(`"current_state":"resetting"`))
			answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(said)), int64(len(said))
			return answer, err
		})})
	if err != nil {
		t.Fatal(err)
	}
	r.Reset = true
	apply(t, p, r)
	if n := resets.Load(); n != 1 {
		t.Errorf("it was reset %d times", n)
	}
}

// Somebody resets a branch at Neon's console after its passwords were renewed and before it has its name: they are the parent's again.
func TestResetMeanwhile(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := world(t, nil)
	r := resource(t)
	var once sync.Once
	p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Look: look, Dial: s.Dial, Roots: s.Certificates(),
		Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
			if request.Method == http.MethodPatch && strings.Contains(request.URL.Path, "/branches/") {
				once.Do(func() {
					resetByHand(t, s, r.Name)
					settled(t, s)
				})
			}
			return http.DefaultTransport.RoundTrip(request)
		})})
	if err != nil {
		t.Fatal(err)
	}
	_ = apply(t, p, r)
	if seen, err := provider(t, s).Observe(t.Context(), r); err != nil || seen.Digest != "" || seen.Outputs.DatabaseURL != "" {
		t.Errorf("observed: %+v, %v", seen, err)
	}
	_ = apply(t, p, r)
	if seen, err := p.Observe(t.Context(), r); err != nil || seen.Digest != r.Digest {
		t.Errorf("observed after another pass: %+v, %v", seen, err)
	}

	// And after a pass looked at the branch, before its migrations run.
	<-time.After(1100 * time.Millisecond) // times are whole seconds
	resetByHand(t, s, r.Name)
	settled(t, s)
	source := preview.Inputs{Source: files("drizzle/1.sql", "CREATE TABLE a (id int);")}
	if _, err := provider(t, s).Schema().Apply(t.Context(), schemaOf(r, "1"), source); preview.Classify(err) != preview.ClassTransient {
		t.Errorf("migrations: %v", err)
	}
	if seen, err := provider(t, s).Observe(t.Context(), r); err != nil || seen.Digest != "" || seen.Outputs.DatabaseURL != "" {
		t.Errorf("observed after migrations: %+v, %v", seen, err)
	}
}

// send asks the stand-in as a person at Neon's console does.
func send(t *testing.T, s *sim.Server, method, path, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL()+"/projects/"+s.ProjectID()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+apiKey)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %s %v", method, path, answer.Status, err)
	}
	return string(text)
}

// aBranch is what identifies a branch at the stand-in.
type aBranch struct {
	ID     string `json:"id"`
	Parent string `json:"parent_id"`
}

// branchNamed is the one whose name that is, or begins so.
func branchNamed(t *testing.T, s *sim.Server, name string) aBranch {
	t.Helper()
	var list struct{ Branches []aBranch }
	if err := json.Unmarshal([]byte(send(t, s, http.MethodGet, "/branches?search="+name, "")), &list); err != nil || len(list.Branches) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	return list.Branches[0]
}

// resetByHand resets a branch from its parent.
func resetByHand(t *testing.T, s *sim.Server, name string) {
	t.Helper()
	b := branchNamed(t, s, name)
	send(t, s, http.MethodPost, "/branches/"+b.ID+"/restore", `{"source_branch_id": "`+b.Parent+`"}`)
}

// settled waits until the stand-in is done with all that it was asked for.
func settled(t *testing.T, s *sim.Server) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(look) {
		text := send(t, s, http.MethodGet, "/operations", "")
		if !strings.Contains(text, `"running"`) && !strings.Contains(text, `"scheduling"`) {
			return
		}
	}
	t.Fatal("it is not done")
}
