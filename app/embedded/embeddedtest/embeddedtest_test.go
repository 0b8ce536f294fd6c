package embeddedtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
)

// childVariable makes the test binary a process that starts the shared server and waits.
const childVariable = "FLARESMITH_EMBEDDEDTEST_CHILD"

func connect(t *testing.T, server string) (*pgx.Conn, error) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), server)
	if err == nil {
		t.Cleanup(func() { _ = connection.Close(context.Background()) })
	}
	return connection, err
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	var database string
	t.Run("lives as long as its test", func(t *testing.T) {
		database = embeddedtest.Database(t)
		if other := embeddedtest.Database(t); other == database {
			t.Error("two databases have the same name")
		}
		connection, err := pgx.Connect(t.Context(), database) // left open: the drop must not mind
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Exec(t.Context(), "CREATE TABLE a (b int)"); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := connect(t, database); err == nil {
		t.Error("the database outlives its test")
	}
}

// TestChild is no test: it is the process that TestKilledProcess kills.
func TestChild(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		t.Skip("only for TestKilledProcess")
	}
	fmt.Println("server " + embeddedtest.Postgres(t))
	select {}
}

// Whatever ends a test process, its server and folder go.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp("", "flaresmith-embeddedtest-*") //nolint:usetesting // the server may run as another user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	process.Env = append(os.Environ(), childVariable+"=1", embeddedtest.DatabaseURLVariable+"=", "TMPDIR="+folder)
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	server, err := serverIn(output)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, server); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, folder); got != 1 {
		t.Fatalf("folders: got %d, want 1", got)
	}
	_ = process.Process.Kill()
	_ = process.Wait()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for entries(t, folder) > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the server's folder is still there")
		}
	}
	if _, err := connect(t, server); err == nil {
		t.Error("the server outlives its process")
	}
}

func serverIn(output interface{ Read([]byte) (int, error) }) (string, error) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if server, found := strings.CutPrefix(lines.Text(), "server "); found {
			return server, nil
		}
	}
	return "", errors.Join(errors.New("the process tells no server"), lines.Err())
}

func entries(t *testing.T, folder string) int {
	t.Helper()
	found, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return len(found)
}

func TestWorkerd(t *testing.T) {
	t.Parallel()
	path := embeddedtest.Workerd(t)
	if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("%s is no program: %v", path, err)
	}
}
