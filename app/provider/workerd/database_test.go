package workerd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
)

// pipe serves a database as egress does, without a Worker, and returns how a client dials it.
func pipe(t *testing.T, secret string) (d *database, dial func() (net.Conn, error)) {
	t.Helper()
	d, _, err := newDatabase(preview.Secret(secret))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = d.serve(context.WithoutCancel(t.Context()), conn, bufio.NewReader(conn)) }()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); d.close() })
	return d, func() (net.Conn, error) { return net.Dial("tcp", listener.Addr().String()) }
}

// clientConfig is a client that asks for another user's other database, as a hostile Worker would.
func clientConfig(t *testing.T, secret string, dial func() (net.Conn, error)) *pgx.ConnConfig {
	t.Helper()
	config, err := pgx.ParseConfig(secret)
	if err != nil {
		t.Fatal(err)
	}
	config.Host, config.Port, config.TLSConfig, config.Fallbacks = "127.0.0.1", 1, nil, nil
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) { return dial() }
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	return config
}

func TestDatabasePins(t *testing.T) {
	t.Parallel()
	own := embeddedtest.Database(t)
	_, dial := pipe(t, own)
	config := clientConfig(t, own, dial)
	parsed, err := url.Parse(own)
	if err != nil {
		t.Fatal(err)
	}
	config.User, config.Database = "someone_else", "template1"
	config.RuntimeParams = map[string]string{"options": "-c statement_timeout=1", "application_name": "mine", "work_mem": "1GB"}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var got [4]string
	err = conn.QueryRow(t.Context(), `SELECT current_user, current_database(), current_setting('application_name'), current_setting('statement_timeout')`).Scan(&got[0], &got[1], &got[2], &got[3])
	if err != nil {
		t.Fatal(err)
	}
	want := [4]string{parsed.User.Username(), strings.TrimPrefix(parsed.Path, "/"), "mine", "0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var memory string
	if err := conn.QueryRow(t.Context(), `SELECT source FROM pg_settings WHERE name = 'work_mem'`).Scan(&memory); err != nil || memory == "client" {
		t.Errorf("work_mem is set by %q, %v", memory, err)
	}
}

// A client that would like encryption goes on without, one that insists gives up.
func TestDatabaseEncryption(t *testing.T) {
	t.Parallel()
	own := embeddedtest.Database(t)
	_, dial := pipe(t, own)
	config := clientConfig(t, own, dial)
	config.TLSConfig = &tls.Config{InsecureSkipVerify: true}
	if _, err := pgconn.ConnectConfig(t.Context(), &config.Config); err == nil || !strings.Contains(err.Error(), "refused TLS") {
		t.Errorf("sslmode=require: %v", err)
	}
	config.Fallbacks = []*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port}}
	conn, err := pgconn.ConnectConfig(t.Context(), &config.Config)
	if err != nil {
		t.Fatalf("sslmode=prefer: %v", err)
	}
	_ = conn.Close(t.Context())
	// Both questions on one connection, and then the startup packet, at once.
	client, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	_ = client.SetDeadline(time.Now().Add(time.Minute))
	startup, err := (&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "x"}}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write(append([]byte("\x00\x00\x00\x08\x04\xd2\x16\x30\x00\x00\x00\x08\x04\xd2\x16\x2f"), startup...)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 3)
	if _, err := io.ReadFull(client, answer); err != nil || string(answer) != "NNR" {
		t.Errorf("answer %q, %v", answer, err)
	}
}

func TestDatabaseReplication(t *testing.T) {
	t.Parallel()
	own := embeddedtest.Database(t)
	_, dial := pipe(t, own)
	config := clientConfig(t, own, dial)
	config.RuntimeParams = map[string]string{"replication": "database"}
	conn, err := pgconn.ConnectConfig(t.Context(), &config.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "IDENTIFY_SYSTEM").ReadAll(); err == nil {
		t.Error("a replication connection was let through")
	}
}

func TestDatabaseCancel(t *testing.T) {
	t.Parallel()
	own := embeddedtest.Database(t)
	d, dial := pipe(t, own)
	conn, err := pgx.ConnectConfig(t.Context(), clientConfig(t, own, dial))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	failed := make(chan error, 1)
	go func() { _, err := conn.Exec(t.Context(), "SELECT pg_sleep(20)"); failed <- err }()
	observer, err := pgx.Connect(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = observer.Close(t.Context()) }()
	eventually(t, "the query runs", func() bool {
		var n int
		err := observer.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active'`, conn.PgConn().PID()).Scan(&n)
		return err == nil && n == 1
	})

	// One that names a session of somebody else goes nowhere.
	foreign, err := (&pgproto3.CancelRequest{ProcessID: observer.PgConn().PID(), SecretKey: observer.PgConn().SecretKey()}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cancel(t.Context(), foreign[4:]); err == nil || !strings.Contains(err.Error(), "names no session") {
		t.Errorf("foreign cancel: %v", err)
	}

	known, err := (&pgproto3.CancelRequest{ProcessID: conn.PgConn().PID(), SecretKey: conn.PgConn().SecretKey()}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if _, err := second.Write(known); err != nil {
		t.Fatal(err)
	}
	var refused *pgconn.PgError
	if err := <-failed; !errors.As(err, &refused) || refused.Code != "57014" {
		t.Errorf("the query ended with %v", err)
	}
	_ = conn.Close(t.Context())
	eventually(t, "key forgotten", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.keys) == 0 && len(d.conns) == 0 && d.count == 0
	})
}

func TestDatabaseLimit(t *testing.T) {
	t.Parallel()
	own := embeddedtest.Database(t)
	d, dial := pipe(t, own)
	config := clientConfig(t, own, dial)
	for n := range maxDatabaseConns {
		if !d.enter() {
			t.Fatalf("%d does not enter", n)
		}
	}
	_, err := pgx.ConnectConfig(t.Context(), config)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "53300" {
		t.Errorf("one too many: %v", err)
	}
	d.leave()
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	d.close()
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a session outlives its preview")
	}
}

func TestDatabaseGarbage(t *testing.T) {
	t.Parallel()
	d, _ := pipe(t, "postgres://u:p@127.0.0.1:1/d")
	tests := []struct{ name, sent, want string }{
		{"http", "GET / HTTP/1.1\r\n\r\n", "not a Postgres startup packet"},
		{"huge", "\xff\xff\xff\xff", "not a Postgres startup packet"},
		{"tiny", "\x00\x00\x00\x04", "not a Postgres startup packet"},
		{"version", "\x00\x00\x00\x08\x00\x02\x00\x00", "not a Postgres startup packet"},
		{"short", "\x00\x00\x00\x20\x00\x03", "closed within"},
		{"nothing", "", "closed before"},
		{"questions", strings.Repeat("\x00\x00\x00\x08\x04\xd2\x16\x2f", 4), "three attempts"},
		{"cancel", "\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x01", "names no session"},
		{"cancel without key", "\x00\x00\x00\x08\x04\xd2\x16\x2e", "names no session"},
		{"no server", "\x00\x00\x00\x10\x00\x03\x00\x00user\x00u\x00\x00", "out of reach"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client, server := net.Pipe()
			go func() {
				go func() { _, _ = bufio.NewReader(client).WriteTo(sink{}) }()
				_, _ = client.Write([]byte(test.sent))
				if strings.HasPrefix(test.want, "closed") {
					_ = client.Close()
				}
			}()
			err := d.serve(t.Context(), server, bufio.NewReader(server))
			_ = client.Close()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

type sink struct{}

func (sink) Write(p []byte) (int, error) { return len(p), nil }

func FuzzReadStartup(f *testing.F) {
	for _, seed := range []string{"\x00\x00\x00\x08\x04\xd2\x16\x2f", "\x00\x00\x00\x10\x00\x03\x00\x00user\x00x\x00\x00", "GET /"} {
		f.Add([]byte(seed))
	}
	d, _, err := newDatabase("postgres://u:p@127.0.0.1:1/d")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		client, server := net.Pipe()
		defer func() { _ = client.Close(); _ = server.Close() }()
		go func() { _, _ = bufio.NewReader(client).WriteTo(sink{}) }()
		packet, err := readStartup(server, bufio.NewReader(strings.NewReader(string(sent))))
		if err != nil {
			return
		}
		raw, err := d.pin(packet)
		if err != nil {
			return
		}
		var again pgproto3.StartupMessage
		if err := again.Decode(raw[4:]); err != nil || again.Parameters["user"] != "u" || again.Parameters["database"] != "d" {
			t.Errorf("pinned %v, %v", again.Parameters, err)
		}
		for name := range again.Parameters {
			if name != "user" && name != "database" && !startupParameter(name) {
				t.Errorf("parameter %q passes", name)
			}
		}
	})
}

func TestNewDatabase(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "http://x", "postgres://u:hunter22@h:bad/d", "not a url hunter22"} {
		if _, _, err := newDatabase(preview.Secret(bad)); err == nil || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A role of its own, as a preview has: the server may trust its superuser without a password.
func role(t *testing.T) (secret string, password string) {
	t.Helper()
	own := embeddedtest.Database(t)
	conn, err := pgx.Connect(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	parsed, err := url.Parse(own)
	if err != nil {
		t.Fatal(err)
	}
	name, password := strings.TrimPrefix(parsed.Path, "/")+"_role", "p@ss/wörd"
	for _, statement := range []string{
		fmt.Sprintf(`CREATE ROLE %q LOGIN PASSWORD '%s'`, name, password),
		`CREATE TABLE animals (name text)`, `INSERT INTO animals VALUES ('horse')`, fmt.Sprintf(`GRANT SELECT ON animals TO %q`, name),
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		conn, err := pgx.Connect(ctx, own)
		if err == nil {
			_, err = conn.Exec(ctx, fmt.Sprintf(`DROP OWNED BY %q; DROP ROLE %q`, name, name))
			_ = conn.Close(ctx)
		}
		if err != nil {
			t.Errorf("drop the role: %v", err)
		}
	})
	parsed.User = url.UserPassword(name, password)
	return parsed.String(), password
}

// scramWorker speaks enough of Postgres' protocol to ask one question with a password.
const scramWorker = `import { connect } from "cloudflare:sockets";
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { Buffer } from "node:buffer";
const message = (type, body) => { const head = Buffer.alloc(type ? 5 : 4); if (type) head.write(type); head.writeInt32BE(body.length + 4, type ? 1 : 0); return Buffer.concat([head, body]); };
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();
async function ask(target, user, password, database, sql) {
	const socket = connect(target); const writer = socket.writable.getWriter(); const reader = socket.readable.getReader();
	let buffer = Buffer.alloc(0);
	const next = async () => { for (;;) {
		if (buffer.length >= 5 && buffer.length > buffer.readInt32BE(1)) { const end = buffer.readInt32BE(1) + 1; const m = { type: String.fromCharCode(buffer[0]), body: buffer.subarray(5, end) }; buffer = buffer.subarray(end); return m; }
		const { value, done } = await reader.read(); if (done) throw new Error("closed"); buffer = Buffer.concat([buffer, value]); } };
	await writer.write(message("", Buffer.concat([Buffer.from([0, 3, 0, 0]), Buffer.from("user\0" + user + "\0database\0" + database + "\0options\0-c role=postgres\0\0")])));
	const bare = "n=,r=" + randomBytes(12).toString("hex"); let first;
	for (;;) { const m = await next();
		if (m.type === "E") throw new Error(m.body.toString().split("\0").find(part => part[0] === "M"));
		if (m.type === "Z") break;
		if (m.type !== "R") continue;
		const kind = m.body.readInt32BE(0);
		if (kind === 10) { const start = Buffer.from("n,," + bare); const size = Buffer.alloc(4); size.writeInt32BE(start.length); await writer.write(message("p", Buffer.concat([Buffer.from("SCRAM-SHA-256\0"), size, start]))); }
		if (kind === 11) { first = m.body.subarray(4).toString(); const part = Object.fromEntries(first.split(",").map(p => [p[0], p.slice(2)]));
			const salted = pbkdf2Sync(password, Buffer.from(part.s, "base64"), Number(part.i), 32, "sha256");
			const key = hmac(salted, "Client Key"); const final = "c=biws,r=" + part.r;
			const signature = hmac(createHash("sha256").update(key).digest(), bare + "," + first + "," + final);
			await writer.write(message("p", Buffer.from(final + ",p=" + Buffer.from(key.map((b, n) => b ^ signature[n])).toString("base64")))); } }
	await writer.write(message("Q", Buffer.from(sql + "\0")));
	const rows = [];
	for (;;) { const m = await next();
		if (m.type === "E") throw new Error(m.body.toString().split("\0").find(part => part[0] === "M"));
		if (m.type === "D") { const size = m.body.readInt32BE(2); rows.push(m.body.subarray(6, 6 + size).toString()); }
		if (m.type === "Z") break; }
	await socket.close(); return rows;
}
export default { async fetch(req, env) { const url = new URL(req.url); try {
	if (url.pathname === "/fetch") return new Response("reached " + (await fetch(url.searchParams.get("to"))).status);
	if (url.pathname === "/connect") { const s = connect(url.searchParams.get("to")); await s.opened; return new Response("reached"); }
	const db = new URL(env.DATABASE_URL);
	const rows = await ask(db.host, url.searchParams.get("user") ?? db.username, decodeURIComponent(db.password), url.searchParams.get("database") ?? db.pathname.slice(1), url.searchParams.get("sql"));
	return new Response(rows.join(","));
} catch (e) { return new Response("failed: " + e.message, { status: 500 }); } } };`

func TestWorkerReachesItsDatabaseOnly(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	secret, password := role(t)
	r := resource()
	bundle := worker(scramWorker)
	bundle.DatabaseBinding = testBinding
	if _, err := rt.Apply(t.Context(), r, preview.Inputs{Bundle: bundle, Outputs: preview.Outputs{DatabaseURL: preview.Secret(secret)}}); err != nil {
		t.Fatal(err)
	}
	parsed, err := url.Parse(secret)
	if err != nil {
		t.Fatal(err)
	}
	sql := url.QueryEscape("SELECT name FROM animals")
	wantGet(t, rt, r.Name, "/?sql="+sql, "horse")
	// Whoever the Worker says it is, it is its own role in its own database.
	wantGet(t, rt, r.Name, "/?user=postgres&database=postgres&sql="+url.QueryEscape("SELECT current_user || ' ' || current_database()"),
		parsed.User.Username()+" "+strings.TrimPrefix(parsed.Path, "/"))

	reached := make(chan string, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { reached <- req.Host }))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server.Listener = listener
	server.Start()
	defer server.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	for _, host := range []string{"127.0.0.1", "127.88.0.1", "127.88.0.2", "localhost", "[::1]", "169.254.169.254", "example.com", r.Name + ".localhost"} {
		at := fmt.Sprintf("%s:%d", host, port)
		for _, path := range []string{"/fetch?to=" + url.QueryEscape("http://"+at+"/"), "/connect?to=" + url.QueryEscape(at), "/connect?to=" + url.QueryEscape(parsed.Host)} {
			if status, body := get(t, rt, r.Name, path); status != http.StatusInternalServerError || !strings.HasPrefix(body, "failed: ") {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
	}
	if status, body := get(t, rt, r.Name, "/fetch?to="+url.QueryEscape("http://"+DatabaseAddress+"/")); status != http.StatusInternalServerError {
		t.Errorf("fetch of the database's address: %d %s", status, body)
	}
	select {
	case host := <-reached:
		t.Errorf("a Worker reached %s", host)
	default:
	}
	if text := logText(rt, r.Name); !strings.Contains(text, `refused a fetch to "example.com`) || strings.Contains(text, password) {
		t.Errorf("log %s", text)
	}
	if err := rt.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}
