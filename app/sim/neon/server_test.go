package neon_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/neon"
)

const key = "napi_test"

// start is a stand-in with a table in its root's database.
func start(t *testing.T, change func(*neon.Config)) *neon.Server {
	t.Helper()
	tools, err := embeddedtest.Tools()
	if err != nil {
		t.Fatal(err)
	}
	binDir, err := tools.Postgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "neon-") //nolint:usetesting // Postgres runs as a user of its own, who must be able to pass through
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	config := neon.Config{Dir: dir, BinDir: binDir, APIKey: key, Validate: true}
	if change != nil {
		change(&config)
	}
	s, err := neon.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for _, v := range s.Violations() {
			t.Errorf("not as Neon describes it: %s", v)
		}
	})
	return s
}

// call is one request and its decoded answer.
func call(t *testing.T, s *neon.Server, method, path string, body any) (int, map[string]any) {
	t.Helper()
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		sent = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, sent)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var decoded map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &decoded); err != nil {
			t.Fatalf("%s %s answers %q: %v", method, path, text, err)
		}
	}
	return answer.StatusCode, decoded
}

func branches(s *neon.Server) string { return "/projects/" + s.ProjectID() + "/branches" }

// create makes a branch with a compute and waits until it is ready.
func create(t *testing.T, s *neon.Server, name, parent string) (id, uri string) {
	t.Helper()
	branch := map[string]any{"name": name}
	if parent != "" {
		branch["parent_id"] = parent
	}
	status, answer := call(t, s, http.MethodPost, branches(s), map[string]any{
		"branch": branch, "endpoints": []any{map[string]any{"type": "read_write"}},
		"annotation_value": map[string]any{"flaresmith": "mine"},
	})
	if status != http.StatusCreated {
		t.Fatalf("create %s: %d %v", name, status, answer)
	}
	id = answer["branch"].(map[string]any)["id"].(string)
	uri = answer["connection_uris"].([]any)[0].(map[string]any)["connection_uri"].(string)
	ready(t, s, id)
	return id, uri
}

func ready(t *testing.T, s *neon.Server, id string) {
	t.Helper()
	until(t, id+" is ready", func() bool {
		_, answer := call(t, s, http.MethodGet, "/projects/"+s.ProjectID()+"/operations", nil)
		operations, ok := answer["operations"].([]any)
		if !ok { // it was asked too often
			return false
		}
		for _, o := range operations {
			o := o.(map[string]any)
			if o["branch_id"] == id && o["status"] != "finished" {
				return false
			}
		}
		return true
	})
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(3 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

// connect speaks to a branch as a client with the right certificates does.
func connect(ctx context.Context, s *neon.Server, uri string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(uri)
	if err != nil {
		return nil, err
	}
	config.DialFunc = s.Dial
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	if config.TLSConfig != nil {
		config.TLSConfig = &tls.Config{RootCAs: s.Certificates(), ServerName: config.Host, MinVersion: tls.VersionTLS12}
	}
	config.Fallbacks = nil
	return pgx.ConnectConfig(ctx, config)
}

func query(t *testing.T, s *neon.Server, uri, sql string) string {
	t.Helper()
	conn, err := connect(t.Context(), s, uri)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var value string
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func rootURI(t *testing.T, s *neon.Server) string {
	t.Helper()
	status, answer := call(t, s, http.MethodGet, "/projects/"+s.ProjectID()+"/connection_uri?database_name=neondb&role_name=neondb_owner", nil)
	if status != http.StatusOK {
		t.Fatalf("connection_uri: %d %v", status, answer)
	}
	return answer["uri"].(string)
}

func rootID(t *testing.T, s *neon.Server) string {
	t.Helper()
	_, answer := call(t, s, http.MethodGet, branches(s)+"?search=main", nil)
	return answer["branches"].([]any)[0].(map[string]any)["id"].(string)
}

func TestBranches(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	root := rootURI(t, s)
	if got := query(t, s, root, `SELECT current_user || ' ' || current_database()`); got != "neondb_owner neondb" {
		t.Errorf("the root is %s", got)
	}
	run(t, s, root, `CREATE TABLE products (id int PRIMARY KEY, name text); INSERT INTO products VALUES (1, 'Anvil')`)
	id, uri := create(t, s, "preview-1", "")
	if got := query(t, s, uri, `SELECT name FROM products`); got != "Anvil" {
		t.Errorf("the branch's row is %q", got)
	}
	password := func(uri string) string {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal("uri does not parse")
		}
		secret, _ := u.User.Password()
		return secret
	}
	if password(uri) != password(root) {
		t.Error("a child of an unprotected parent has another password")
	}

	// What is written in the branch stays there.
	run(t, s, uri, `ALTER TABLE products ADD stock int; UPDATE products SET name = 'Bellows'`)
	if got := query(t, s, root, `SELECT name FROM products`); got != "Anvil" {
		t.Errorf("the parent's row is %q", got)
	}
	_, answer := call(t, s, http.MethodGet, branches(s)+"/"+id+"/compare_schema?db_name=neondb", nil)
	if diff := answer["diff"].(string); !strings.Contains(diff, "+public.products stock integer") {
		t.Errorf("difference %q", diff)
	}

	// A new password counts at once, and only in the branch.
	_, answer = call(t, s, http.MethodPost, branches(s)+"/"+id+"/roles/neondb_owner/reset_password", nil)
	renewed := strings.Replace(uri, password(uri), answer["role"].(map[string]any)["password"].(string), 1)
	if conn, err := connect(t.Context(), s, uri); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the parent's password still opens the branch")
	}
	if got := query(t, s, renewed, `SELECT name FROM products`); got != "Bellows" {
		t.Errorf("the branch's row is %q", got)
	}

	// A reset brings the parent's rows and passwords back under the same address.
	if status, answer := call(t, s, http.MethodPost, branches(s)+"/"+id+"/restore", map[string]any{"source_branch_id": rootID(t, s)}); status != http.StatusOK {
		t.Fatalf("restore: %d %v", status, answer)
	}
	ready(t, s, id)
	if got := query(t, s, uri, `SELECT name FROM products`); got != "Anvil" {
		t.Errorf("after a reset the branch's row is %q", got)
	}

	if status, _ := call(t, s, http.MethodDelete, branches(s)+"/"+id, nil); status != http.StatusOK {
		t.Errorf("delete answers %d", status)
	}
	ready(t, s, id)
	if status, _ := call(t, s, http.MethodGet, branches(s)+"/"+id, nil); status != http.StatusNotFound {
		t.Errorf("a deleted branch answers %d", status)
	}
	if status, _ := call(t, s, http.MethodDelete, branches(s)+"/"+id, nil); status != http.StatusNoContent {
		t.Errorf("a second delete answers %d", status)
	}
	if conn, err := connect(t.Context(), s, uri); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a deleted branch can be reached")
	}
}

func run(t *testing.T, s *neon.Server, uri, sql string) {
	t.Helper()
	conn, err := connect(t.Context(), s, uri)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// What Neon refuses is refused, with its status, and changes nothing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const making = 2 * time.Second
	s := start(t, func(c *neon.Config) { c.Branches = 3; c.Latency.Branch = making })
	root := rootID(t, s)
	id, _ := create(t, s, "one", root)
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	wish := func(branch map[string]any) map[string]any { return map[string]any{"branch": branch} }
	tests := []struct {
		name, method, path string
		body               any
		want               int
	}{
		{"a name that exists", http.MethodPost, "", wish(map[string]any{"name": "one"}), http.StatusConflict},
		{"a parent that does not", http.MethodPost, "", wish(map[string]any{"name": "x", "parent_id": "br-none"}), http.StatusNotFound},
		{"an end in the past", http.MethodPost, "", wish(map[string]any{"name": "x", "expires_at": "2020-01-01T00:00:00Z"}), http.StatusBadRequest},
		{"an end with fractions", http.MethodPost, "", wish(map[string]any{"name": "x", "expires_at": soon.Add(time.Millisecond)}), http.StatusBadRequest},
		{"deletion of the default branch", http.MethodDelete, "/" + root, nil, http.StatusUnprocessableEntity},
		{"an end of the default branch", http.MethodPatch, "/" + root, wish(map[string]any{"expires_at": soon}), http.StatusUnprocessableEntity},
		{"a restore of a root", http.MethodPost, "/" + root + "/restore", map[string]any{"source_branch_id": id}, http.StatusUnprocessableEntity},
		{"an unknown branch", http.MethodGet, "/br-none", nil, http.StatusNotFound},
	}
	for _, tt := range tests {
		if status, answer := call(t, s, tt.method, branches(s)+tt.path, tt.body); status != tt.want {
			t.Errorf("%s: %d %v, want %d", tt.name, status, answer, tt.want)
		}
	}
	for { // where asking takes longer than making, it is tried again
		began := time.Now()
		status, answer := call(t, s, http.MethodPost, branches(s), wish(map[string]any{"name": "two"}))
		if status != http.StatusCreated {
			t.Fatalf("two: %d %v", status, answer)
		}
		two := answer["branch"].(map[string]any)["id"].(string)
		status, _ = call(t, s, http.MethodDelete, branches(s)+"/"+two, nil)
		if took := time.Since(began); status != http.StatusLocked && took < making {
			t.Fatalf("a branch that is being made is deleted after %s: %d", took, status)
		}
		ready(t, s, two)
		if status == http.StatusLocked {
			break
		}
		until(t, "the branch is gone", func() bool {
			status, _ := call(t, s, http.MethodGet, branches(s)+"/"+two, nil)
			return status == http.StatusNotFound
		})
	}
	if status, answer := call(t, s, http.MethodPost, branches(s), wish(map[string]any{"name": "three"})); status != http.StatusUnprocessableEntity {
		t.Errorf("beyond the limit: %d %v", status, answer)
	}
	_, answer := call(t, s, http.MethodGet, branches(s)+"/count", nil)
	if fmt.Sprint(answer["count"]) != "3" {
		t.Errorf("%v branches", answer["count"])
	}
}

func TestProtectedParentKeepsItsPasswords(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	root := rootURI(t, s)
	if status, answer := call(t, s, http.MethodPatch, branches(s)+"/"+rootID(t, s), map[string]any{"branch": map[string]any{"protected": true}}); status != http.StatusOK {
		t.Fatalf("protect: %d %v", status, answer)
	}
	_, uri := create(t, s, "child", "")
	own, _ := url.Parse(uri)
	parent, _ := url.Parse(root)
	if own.User.String() == parent.User.String() {
		t.Error("the child has the protected parent's password")
	}
	if got := query(t, s, uri, `SELECT current_user`); got != "neondb_owner" {
		t.Errorf("the child's user is %q", got)
	}
	own.User = parent.User
	conn, err := connect(t.Context(), s, own.String())
	if err == nil {
		_ = conn.Close(t.Context())
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "28P01" {
		t.Errorf("the parent's password at the child: %v", err)
	}
}

// A branch goes by itself when its time is up.
func TestExpiry(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	status, answer := call(t, s, http.MethodPost, branches(s), map[string]any{"branch": map[string]any{
		"name": "short", "expires_at": time.Now().Add(time.Hour).UTC().Truncate(time.Second)}})
	if status != http.StatusCreated {
		t.Fatalf("create: %d %v", status, answer)
	}
	id := answer["branch"].(map[string]any)["id"].(string)
	s.Change("short", func(b *neon.Branch) {
		if b.Expires.IsZero() {
			t.Error("it has no end")
		}
		b.Expires = time.Now().UTC().Truncate(time.Second)
	})
	until(t, "the branch is gone", func() bool {
		status, _ := call(t, s, http.MethodGet, branches(s)+"/"+id, nil)
		return status == http.StatusNotFound
	})
}

// A compute that sleeps answers when it is connected to, by its pooler's name as well, and by TLS alone.
func TestGateway(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	root := rootURI(t, s)
	_, answer := call(t, s, http.MethodGet, "/projects/"+s.ProjectID()+"/endpoints", nil)
	endpoint := answer["endpoints"].([]any)[0].(map[string]any)["id"].(string)
	if status, answer := call(t, s, http.MethodPost, "/projects/"+s.ProjectID()+"/endpoints/"+endpoint+"/suspend", nil); status != http.StatusOK {
		t.Fatalf("suspend: %d %v", status, answer)
	}
	if got := query(t, s, strings.Replace(root, endpoint, endpoint+"-pooler", 1), `SELECT 'awake'`); got != "awake" {
		t.Errorf("got %q", got)
	}
	for name, uri := range map[string]string{
		"insecure":            strings.Replace(root, "sslmode=require", "sslmode=disable", 1),
		"could not be found":  strings.Replace(root, endpoint, "ep-none", 1),
		"password authentica": strings.Replace(root, "neondb_owner:", "neondb_owner:x", 1),
	} {
		conn, err := connect(t.Context(), s, uri)
		if err == nil {
			_ = conn.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}

// A client that can't greet an endpoint's host names the endpoint in its options, and keeps the others that it has.
func TestByAddress(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *neon.Config) { c.ByAddress = net.IPv4(127, 0, 0, 1) })
	root := rootURI(t, s)
	if got := query(t, s, strings.Replace(root, "&", "%20-c%20work_mem%3D5MB&", 1), `SELECT current_setting('work_mem')`); got != "5MB" {
		t.Errorf("the other options: %q", got)
	}
	wantCancelled(t, s, root)
	for name, uri := range map[string]string{
		"Endpoint ID is not specified": strings.Replace(root, "options=", "application_name=", 1),
		"could not be found":           strings.Replace(root, "endpoint%3Dep-", "endpoint%3Dep-no", 1),
		"password authentica":          strings.Replace(root, "neondb_owner:", "neondb_owner:x", 1),
	} {
		conn, err := connect(t.Context(), s, uri)
		if err == nil {
			_ = conn.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}

// wantCancelled: what a client asks to be cancelled is.
func wantCancelled(t *testing.T, s *neon.Server, uri string) {
	t.Helper()
	conn, err := connect(t.Context(), s, uri)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	asleep := make(chan error, 1)
	go func() { asleep <- conn.PgConn().Exec(t.Context(), `SELECT pg_sleep(30)`).Close() }()
	until(t, "the sleep is cancelled", func() bool {
		if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-asleep:
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "57014" {
				t.Errorf("the sleep ended with %v", err)
			}
			return true
		default:
			return false
		}
	})
}

func TestFaultsAndLimits(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	create := "POST /projects/{project_id}/branches"
	s.SetFaults(fault.Nth(1, 1, fault.OnRoute(create, fault.Fault{Status: http.StatusServiceUnavailable})),
		fault.Nth(1, 1, fault.OnRoute(create, fault.Fault{Status: http.StatusGatewayTimeout, After: true})))
	body := map[string]any{"branch": map[string]any{"name": "once"}}
	for _, want := range []int{http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusConflict} {
		if status, answer := call(t, s, http.MethodPost, branches(s), body); status != want {
			t.Errorf("%d %v, want %d", status, answer, want)
		}
	}
	var limited atomic.Int64
	var callers sync.WaitGroup
	for range 10 {
		callers.Go(func() {
			for range 30 {
				if status, _ := call(t, s, http.MethodGet, branches(s)+"/count", nil); status == http.StatusTooManyRequests {
					limited.Add(1)
				}
			}
		})
	}
	callers.Wait()
	if limited.Load() == 0 {
		t.Error("300 requests to one route in a moment, and no 429")
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+branches(s), nil)
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key: %v %v", answer, err)
	}
	if err == nil {
		_ = answer.Body.Close()
	}
}

// Many branches of one parent are made at the same moment, as when many pull requests are opened, and each is a whole copy.
func TestManyBranchesAtOnce(t *testing.T) {
	t.Parallel()
	const many = 12
	s := start(t, func(c *neon.Config) {
		c.Branches, c.Unlimited, c.Logger = many+1, true, slog.New(slog.NewTextHandler(t.Output(), nil))
	})
	for i := range many { // each is answered before its branch is there
		status, answer := call(t, s, http.MethodPost, branches(s), map[string]any{"branch": map[string]any{"name": fmt.Sprintf("feature-%d", i)},
			"endpoints": []any{map[string]any{"type": "read_write"}}})
		if status != http.StatusCreated {
			t.Fatalf("create branch %d: %d %v", i, status, answer)
		}
	}
	until(t, "every branch is ready", func() bool {
		_, answer := call(t, s, http.MethodGet, branches(s), nil)
		ready := 0
		for _, b := range answer["branches"].([]any) {
			if b.(map[string]any)["current_state"] == "ready" {
				ready++
			}
		}
		return ready == many+1
	})
}
