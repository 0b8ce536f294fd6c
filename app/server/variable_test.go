package server

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
)

// What an operator most often gets wrong about a database is told in one line: the variable, what happened to what, and
// what to do. No part of it is the password.
func TestDatabaseOfAVariable(t *testing.T) {
	t.Parallel()
	good, err := url.Parse(embeddedtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String() // listens there any more
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*url.URL)
		want   []string
	}{
		{"no server", func(u *url.URL) { u.Host = nobody }, []string{"can't connect to the database", "at " + nobody, "connection refused", "is that server up"}},
		{"no host", func(u *url.URL) { u.Host = "db.invalid:5432" }, []string{"at db.invalid:5432", "is that server up"}},
		{"no database", func(u *url.URL) { u.Path = "/nowhere" }, []string{`database "nowhere" does not exist`, "create the database"}},
		{"no role", func(u *url.URL) { u.User = url.UserPassword("nobody", "hush-hush") }, []string{`"nobody"`, "correct the role and its password"}},
		{"no TLS", func(u *url.URL) { u.RawQuery = "sslmode=require" }, []string{"server refused TLS connection", "sslmode"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			changed := *good
			tt.change(&changed)
			err := Migrate(t.Context(), config.Config{DatabaseURL: preview.Secret(changed.String())})
			if err == nil {
				t.Fatal("no error")
			}
			text := err.Error()
			for _, want := range append(tt.want, "DATABASE_URL: ") {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in: %s", want, text)
				}
			}
			if strings.Contains(text, "\n") || strings.Contains(text, "hush") {
				t.Errorf("more than one line, or the password: %s", text)
			}
		})
	}
}

// A port that is taken and a folder that can't be made are told with their variables.
func TestPlaceOfAVariable(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const free = "127.0.0.1:0"
	for want, c := range map[string]config.Config{
		fmt.Sprintf("FLARESMITH_LISTEN: listen tcp %s: bind: address already in use; end the program that listens there", taken.Addr()):         {Listen: taken.Addr().String(), MetricsListen: free},
		fmt.Sprintf("FLARESMITH_METRICS_LISTEN: listen tcp %s: bind: address already in use; end the program that listens there", taken.Addr()): {Listen: free, MetricsListen: taken.Addr().String()},
		"FLARESMITH_DATA_DIR: mkdir " + file: {Listen: free, MetricsListen: free, DataDir: filepath.Join(file, "data")},
	} {
		s := &Server{config: c, metrics: newMetrics()}
		if err := s.open(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		s.close()
	}
}

// Beside the server itself, too: what creates the App, and what looks for remains.
func TestVariableOfACommand(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	_, err = setUp(t.Context(), config.Config{Listen: taken.Addr().String()}, nil, slog.New(slog.DiscardHandler), io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "FLARESMITH_LISTEN: ") || !strings.Contains(err.Error(), "end the program that listens there") {
		t.Errorf("the page that creates the App: %v", err)
	}
	c := config.Config{DatabaseURL: preview.Secret(embeddedtest.Database(t)), BranchDatabaseURL: "postgres://nobody:" + "hush-hush@127.0.0.1:1/none"}
	err = Sweep(t.Context(), c, Options{}, SweepOptions{}, func(Orphan) {})
	if err == nil || !strings.HasPrefix(err.Error(), "FLARESMITH_BRANCH_DATABASE_URL: can't connect to the database") || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hush") {
		t.Errorf("sweep: %v", err)
	}
}

// What the operator gives migrations is not taken by the time of a step or a pass: they may run once more in a fresh branch.
func TestTimesOfMigrations(t *testing.T) {
	t.Parallel()
	for _, given := range []time.Duration{time.Minute, time.Hour} {
		c := config.Config{MigrationTimeout: given}
		if step, pass := stepTimeout(c), passTimeout(c); step <= 10*time.Minute+2*given || pass <= step {
			t.Errorf("%s: a step may take %s, and a pass %s", given, step, pass)
		}
	}
}
