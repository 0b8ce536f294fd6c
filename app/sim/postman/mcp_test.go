package postman_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/sim/postman"
)

// missing skips a test for want of a tool, and fails in CI, where every tool must be.
func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// install puts Postman's own client into a folder.
func install(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool+" is not installed")
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "mcp"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-progress", "--no-package-lock")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, "npm can't install Postman's MCP server: "+err.Error()+"\n"+string(out))
	}
	return dir
}

// mcp is Postman's MCP server over its standard input and output.
type mcp struct {
	in  io.Writer
	out *bufio.Reader
	id  int
}

func startMCP(t *testing.T, dir string, s *postman.Server) *mcp {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", filepath.Join("node_modules", "@postman", "postman-mcp-server", "dist", "src", "index.js"), "--full", "--quiet")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "POSTMAN_API_KEY=" + key, "POSTMAN_API_BASE_URL=" + s.URL(),
		"POSTMAN_MCP_TELEMETRY=false", "POSTMAN_LEARNING_CENTER_MCP_URL=" + s.URL()}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	m := &mcp{in: in, out: bufio.NewReader(out)}
	m.request(t, "initialize", object{"protocolVersion": "2025-03-26", "capabilities": object{}, "clientInfo": object{"name": "test", "version": "1"}})
	m.send(t, object{"jsonrpc": "2.0", "method": "notifications/initialized"})
	return m
}

func (m *mcp) send(t *testing.T, message object) {
	t.Helper()
	text, err := json.Marshal(message)
	if err == nil {
		_, err = m.in.Write(append(text, '\n'))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// request gives the result of a call of the protocol.
func (m *mcp) request(t *testing.T, method string, params object) object {
	t.Helper()
	m.id++
	m.send(t, object{"jsonrpc": "2.0", "id": m.id, "method": method, "params": params})
	for {
		line, err := m.out.ReadBytes('\n')
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		var answer struct {
			ID     int
			Result object
			Error  any
		}
		if err := json.Unmarshal(line, &answer); err != nil {
			t.Fatalf("%s: %v: %s", method, err, line)
		}
		if answer.ID != m.id { // a notification
			continue
		}
		if answer.Error != nil {
			t.Fatalf("%s: %v", method, answer.Error)
		}
		return answer.Result
	}
}

// text is what a tool says.
func (m *mcp) text(t *testing.T, name string, arguments object) string {
	t.Helper()
	result := m.request(t, "tools/call", object{"name": name, "arguments": arguments})
	content, _ := result["content"].([]any)
	if result["isError"] == true || len(content) == 0 {
		t.Fatalf("%s: %v", name, result)
	}
	text, _ := at(content[0], "text").(string)
	return text
}

// tool calls one that says JSON.
func (m *mcp) tool(t *testing.T, name string, arguments object) object {
	t.Helper()
	text := m.text(t, name, arguments)
	var into object
	if err := json.Unmarshal([]byte(text), &into); err != nil {
		t.Fatalf("%s: %v: %s", name, err, text)
	}
	return into
}

// uidOf is the id that a tool's answer gives.
func uidOf(t *testing.T, answer object, kind string) string {
	t.Helper()
	uid, _ := at(answer, kind, "uid").(string)
	if uid == "" {
		t.Fatalf("no uid in %v", answer)
	}
	return uid
}

// Postman's own MCP server takes the stand-in for Postman.
func TestPostmansMCPServer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the work is Node's: the race detector sees nothing of it")
	}
	dir := install(t)
	s := start(t, postman.Config{})
	m := startMCP(t, dir, s)
	if id := at(m.tool(t, "getAuthenticatedUser", object{}), "user", "username"); id != "sim" {
		t.Errorf("the user is %v", id)
	}
	if text := m.text(t, "getWorkspaces", object{}); !strings.Contains(text, s.Personal()) || !strings.Contains(text, s.Team()) {
		t.Errorf("workspaces: %s", text)
	}

	made := m.tool(t, "createEnvironment", object{"workspace": s.Team(), "environment": object{"name": "E", "values": []any{object{"key": "baseUrl", "value": "http://x", "type": "default", "enabled": true}}}})
	environment := uidOf(t, made, "environment")
	m.tool(t, "putEnvironment", object{"environmentId": environment, "environment": object{"name": "E2", "values": []any{object{"key": "baseUrl", "value": "http://y", "type": "default", "enabled": false}}}})
	m.tool(t, "patchEnvironment", object{"environmentId": environment, "body": []any{object{"op": "replace", "path": "/name", "value": "E3"}}})
	got := m.tool(t, "getEnvironment", object{"environmentId": environment})
	values, _ := at(got, "environment", "values").([]any)
	if at(got, "environment", "name") != "E3" || len(values) != 1 || at(values[0], "value") != "http://y" || at(values[0], "enabled") != false {
		t.Errorf("environment %v", got)
	}

	collection := uidOf(t, m.tool(t, "createCollection", object{"workspace": s.Team(), "collection": newCollection("C",
		object{"name": "a", "request": object{"method": "GET", "url": "http://x/a"}})["collection"]}), "collection")
	full := m.tool(t, "getCollection", object{"collectionId": collection, "model": "full"})
	items, _ := at(full, "collection", "item").([]any)
	if len(items) != 1 || at(items[0], "id") == nil {
		t.Fatalf("collection %v", full)
	}
	m.tool(t, "putCollection", object{"collectionId": collection, "collection": newCollection("C2",
		object{"id": at(items[0], "id"), "name": "a2", "request": object{"method": "GET", "url": "http://x/a"}})["collection"]})
	if c := s.LastChange("C2"); len(c.Added)+len(c.Removed) != 0 || len(c.Changed) != 1 {
		t.Errorf("the update did %+v", c)
	}
	if got := m.tool(t, "getWorkspace", object{"workspaceId": s.Team()}); at(got, "workspace", "collections") == nil {
		t.Errorf("workspace %v", got)
	}
	if text := m.text(t, "getCollections", object{"workspace": s.Team(), "name": "C2"}); !strings.Contains(text, collection) {
		t.Errorf("collections: %s", text)
	}
	m.tool(t, "deleteCollection", object{"collectionId": collection})
	m.tool(t, "deleteEnvironment", object{"environmentId": environment})
	if text := m.text(t, "getEnvironments", object{"workspace": s.Team()}); strings.Contains(text, environment) {
		t.Errorf("environments: %s", text)
	}
}
