package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/server"
)

// TestMain is also the program: for the tests that run it as a process of its own, and for the
// builds that a server calls it for.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == server.BundleCommand || os.Args[1] == "serve" || os.Args[1] == "demo") {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestDemo runs the whole program once: real Postgres, real git, real workerd, real HTTP. It looks
// for processes and ports of its own that are left, so it must be a process of its own.
func TestDemo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	program := exec.CommandContext(ctx, self, "demo", "--once", "--json", "--verbose")
	program.Stdout, program.Stderr = &out, &log
	if err := program.Run(); err != nil {
		t.Fatalf("demo: %v\n%s\n%s", err, out.String(), log.String())
	}
	var got struct {
		OK    bool
		Steps []struct {
			Name       string
			OK         bool
			DurationMS int64 `json:"durationMs"`
		}
		PreviewURL string `json:"previewUrl"`
		CheckRun   struct{ Name, Conclusion string }
		Leaks      []string
	}
	decoder := json.NewDecoder(&out)
	if err := decoder.Decode(&got); err != nil {
		t.Fatalf("output is not one JSON object: %v", err)
	}
	if decoder.More() {
		t.Error("there is more than one JSON object")
	}
	if !got.OK || len(got.Steps) != 7 || got.Leaks == nil || len(got.Leaks) > 0 {
		t.Errorf("result %+v", got)
	}
	for _, step := range got.Steps {
		if !step.OK {
			t.Errorf("step %s was not verified", step.Name)
		}
	}
	if got.CheckRun.Name != "Flaresmith / Preview" || got.CheckRun.Conclusion != "success" || !strings.HasPrefix(got.PreviewURL, "http://preview-") {
		t.Errorf("check %+v, preview %q", got.CheckRun, got.PreviewURL)
	}
	if strings.Contains(log.String(), "postgres://") {
		t.Error("the log shows a connection string")
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"unknown", []string{"fly"}, "unknown command"},
		{"json needs once", []string{"demo", "--json"}, "--once"},
		{"a driver needs clouds", []string{"demo", "--cloudflare-driver", "pages"}, "needs --clouds"},
		{"an unknown driver", []string{"demo", "--clouds", "--cloudflare-driver", "pigeon"}, `"pigeon" is none of worker-per-pr, worker-previews, pages`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			root := command(&out, &out)
			root.SetArgs(tt.args)
			if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
