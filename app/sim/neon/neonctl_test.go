package neon_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/sim/neon"
)

// neonctl is Neon's own command line in a folder of its own.
type neonctl struct {
	dir    string
	server *neon.Server
}

func installNeonctl(t *testing.T, s *neon.Server) neonctl {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool+" is not installed")
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "neonctl"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-progress", "--no-package-lock")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, "npm can't install neonctl: "+err.Error()+"\n"+string(out))
	}
	return neonctl{dir: dir, server: s}
}

// missing skips a test for want of a tool, and fails in CI, where every tool must be.
func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// run gives what a command prints as JSON.
func (n neonctl) run(t *testing.T, into any, arguments ...string) {
	t.Helper()
	out := n.text(t, append(arguments, "--output", "json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("neonctl %s prints %q: %v", strings.Join(arguments, " "), out, err)
	}
}

func (n neonctl) text(t *testing.T, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{filepath.Join("node_modules", ".bin", "neonctl"),
		"--api-host", n.server.URL(), "--api-key", key, "--no-analytics", "--config-dir", filepath.Join(n.dir, "config")}, arguments...)...)
	cmd.Dir = n.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.dir, "CI=true"}
	out, err := cmd.Output()
	if err != nil {
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			out = append(out, ended.Stderr...)
		}
		t.Fatalf("neonctl %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// The vendor's own client takes the stand-in for Neon.
func TestNeonctl(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the work is Node's: the race detector sees nothing of it")
	}
	s := start(t, nil)
	cli := installNeonctl(t, s)
	root := rootURI(t, s)
	run(t, s, root, `CREATE TABLE products (id int PRIMARY KEY)`)
	project := []string{"--project-id", s.ProjectID()}
	with := func(arguments ...string) []string { return append(arguments, project...) }

	type branch struct {
		ID, Name     string
		CurrentState string `json:"current_state"`
		ExpiresAt    string `json:"expires_at"`
		LastReset    string `json:"last_reset_at"`
	}
	var me struct{ Login string }
	if cli.run(t, &me, "me"); me.Login != "sim" {
		t.Errorf("me is %+v", me)
	}
	var created struct {
		Branch branch
		URIs   []struct {
			URI string `json:"connection_uri"`
		} `json:"connection_uris"`
	}
	cli.run(t, &created, with("branches", "create", "--name", "by-neonctl", "--expires-at", time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))...)
	if created.Branch.Name != "by-neonctl" || created.Branch.ExpiresAt == "" || len(created.URIs) != 1 {
		t.Fatalf("created %+v", created)
	}
	ready(t, s, created.Branch.ID)
	var listed []branch
	if cli.run(t, &listed, with("branches", "list")...); len(listed) != 2 {
		t.Errorf("listed %+v", listed)
	}
	uri := strings.TrimSpace(cli.text(t, with("connection-string", "by-neonctl")...))
	run(t, s, uri, `ALTER TABLE products ADD price int`)
	if diff := cli.text(t, with("branches", "schema-diff", "main", "by-neonctl", "--database", "neondb")...); !strings.Contains(diff, "price") {
		t.Errorf("schema-diff prints %q", diff)
	}
	var reset branch
	if cli.run(t, &reset, with("branches", "reset", "by-neonctl", "--parent")...); reset.ID != created.Branch.ID {
		t.Errorf("reset %+v", reset)
	}
	ready(t, s, created.Branch.ID)
	if n := query(t, s, uri, `SELECT count(*)::text FROM information_schema.columns WHERE table_name = 'products'`); n != "1" {
		t.Errorf("after the reset there are %s columns", n)
	}
	cli.text(t, with("branches", "delete", "by-neonctl")...)
	ready(t, s, created.Branch.ID)
	if cli.run(t, &listed, with("branches", "list")...); len(listed) != 1 {
		t.Errorf("after the deletion %+v", listed)
	}
}
