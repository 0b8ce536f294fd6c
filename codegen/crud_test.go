package codegen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/codegen"
)

const crudSpecs = golden + "/crud/in"

// TestProjectRuns goes all the way from specs alone: both compilers take the project, drizzle-kit's migrations make a
// database of Postgres and a second run finds no change, the app answers in workerd out of that database with
// generated handlers, newman runs the collection without a failure, and an MCP client lists tools whose schemas
// compile.
func TestProjectRuns(t *testing.T) {
	t.Parallel()
	dir := install(t)
	files, err := codegen.Generate(t.Context(), os.DirFS(crudSpecs), codegen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(files.Mismatches) > 0 {
		t.Fatal(files.Mismatches)
	}
	p := project{name: "project", folder: filepath.Join(dir, "project"), entry: "src/index.ts"}
	put(t, p.folder, files)
	t.Run("compilers", func(t *testing.T) {
		t.Parallel()
		write(t, filepath.Join(dir, "tsconfig.json"), []byte(`{"compilerOptions": {"strict": true, "exactOptionalPropertyTypes": true, "noUncheckedIndexedAccess": true, "noUnusedLocals": true,
			"noUnusedParameters": true, "noImplicitReturns": true, "noEmit": true, "skipLibCheck": true, "target": "es2022", "lib": ["es2022", "webworker"], "module": "esnext", "moduleResolution": "bundler", "types": []},
			"include": ["project"]}`))
		for _, compiler := range []string{"typescript", "typescript-5"} {
			if out, err := run(t.Context(), dir, "node", filepath.Join("node_modules", compiler, "bin", "tsc"), "-p", "."); err != nil {
				t.Errorf("%s: %v\n%.6000s", compiler, err, out)
			}
		}
	})
	t.Run("tools", func(t *testing.T) {
		t.Parallel()
		tools(t, dir, p)
	})
	url := embeddedtest.Database(t)
	database, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close(context.Background()) })
	applied := migrate(t, dir, "project/src/db", database, nil)
	if len(applied) != 1 {
		t.Fatalf("got %d migrations, want 1", len(applied))
	}
	if again := migrate(t, dir, "project/src/db", database, applied); len(again) != 0 {
		t.Errorf("a second run made %q", again)
	}
	address := serve(t, bundle(t, dir, p), url)
	newman(t, dir, p, "postman/001-shop.postman_collection.json", address)
	empty(t, database, "customers", "orders", "order_lines") // the collection removes what it makes
	handlersAnswer(t, caller{t, address})
	guarded(t, dir, p, url, address)
}

// empty sees that tables are as before.
func empty(t *testing.T, database *pgx.Conn, tables ...string) {
	t.Helper()
	for _, table := range tables {
		var rows int
		if err := database.QueryRow(t.Context(), "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%s has %d rows: %v", table, rows, err)
		}
	}
}

// caller asks an app that answers.
type caller struct {
	t       *testing.T
	address string
}

type object = map[string]any

// call makes a request, and returns the body of an answer with the wanted status.
func (a caller) call(method, path string, status int, body any) any {
	a.t.Helper()
	var sent io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			a.t.Fatal(err)
		}
		sent = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(a.t.Context(), method, a.address+path, sent)
	if err != nil {
		a.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if response.StatusCode != status {
		a.t.Fatalf("%s %s: got %d, want %d\n%s", method, path, response.StatusCode, status, data)
	}
	var got any
	if len(data) > 0 {
		if err := json.Unmarshal(data, &got); err != nil {
			a.t.Fatalf("%s %s: %v\n%s", method, path, err, data)
		}
	}
	return got
}

// handlersAnswer tries what a collection does not: pages, filters, what is absent, and what the database refuses.
func handlersAnswer(t *testing.T, a caller) {
	t.Helper()
	const nobody = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	var customers []string
	for i := range 5 {
		tier := []string{"basic", "gold"}[i%2]
		made := a.call("POST", "/customers", 201, object{"email": "c" + strconv.Itoa(i) + "@example.com", "tier": tier, "tags": []string{"a", "b"}, "balance": 12.25, "address": object{"street": "S"}, "passwordHint": "h"}).(object)
		if made["passwordHint"] != nil || made["balance"] != 12.25 || made["birthday"] != nil {
			t.Errorf("got %v", made)
		}
		customers = append(customers, made["id"].(string))
	}
	seen := map[string]bool{}
	for cursor, pages := "", 0; ; pages++ {
		page := a.call("GET", "/customers?limit=2"+cursor, 200, nil).(object)
		for _, row := range page["items"].([]any) {
			seen[row.(object)["id"].(string)] = true
		}
		next, more := page["nextCursor"].(string)
		if !more {
			if pages != 2 {
				t.Errorf("got %d pages before the last, want 2", pages)
			}
			break
		}
		cursor = "&cursor=" + next
	}
	if len(seen) != 5 {
		t.Errorf("pages have %d customers, want 5", len(seen))
	}
	if gold := a.call("GET", "/customers?tier=gold", 200, nil).(object)["items"].([]any); len(gold) != 2 {
		t.Errorf("%d customers are gold, want 2", len(gold))
	}
	problem := func(got any, want object) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	problem(a.call("POST", "/customers", 409, object{"email": "c0@example.com", "tier": "basic", "tags": []string{}, "balance": 0}), object{"title": "The customer clashes with what is there", "status": 409.0})
	problem(a.call("GET", "/customers/"+nobody, 404, nil), object{"title": "There is no such customer", "status": 404.0})
	changed := a.call("PATCH", "/customers/"+customers[0], 200, object{"displayName": "Ada", "balance": 0.5}).(object)
	if changed["displayName"] != "Ada" || changed["balance"] != 0.5 || changed["tier"] != "basic" {
		t.Errorf("got %v", changed)
	}
	a.call("PATCH", "/customers/"+customers[0], 200, object{"displayName": nil})
	if _, there := a.call("GET", "/customers/"+customers[0], 200, nil).(object)["displayName"]; there {
		t.Error("a name that was emptied is there")
	}

	order := a.call("POST", "/orders", 201, object{"customerId": customers[0], "number": "AB0001", "status": "paid", "total": "3.50", "note": "n", "deliverAt": "2030-01-02T03:04:05+02:00"}).(object)
	if order["deliverAt"] != "2030-01-02T01:04:05.000Z" || order["total"] != "3.50" {
		t.Errorf("got %v", order)
	}
	id := order["id"].(string)
	problem(a.call("POST", "/orders", 409, object{"customerId": nobody, "number": "AB0002"}), object{"error": object{"code": "conflict", "message": "The order clashes with what is there"}})
	replaced := a.call("PUT", "/orders/"+id, 200, object{"customerId": customers[0], "number": "AB0003"}).(object)
	if replaced["status"] != "open" || replaced["note"] != nil || replaced["deliverAt"] != nil || replaced["total"] != "0.00" {
		t.Errorf("what was not given stayed: %v", replaced)
	}
	problem(a.call("PUT", "/orders/"+nobody, 404, object{"customerId": customers[0], "number": "AB0004"}), object{"error": object{"code": "not_found", "message": "There is no such order"}})
	page := a.call("GET", "/orders?limit=1&status=open&customerId="+customers[0], 200, nil).(object)
	problem(page["pagination"], object{"total": 1.0, "limit": 1.0, "offset": 0.0, "hasMore": false})
	if own := a.call("GET", "/customers/"+customers[1]+"/orders", 200, nil).([]any); len(own) != 0 {
		t.Errorf("got the orders of others: %v", own)
	}

	line := a.call("POST", "/orders/"+id+"/order-lines", 201, object{"product": "Tea"}).(object)
	if line["quantity"] != 1.0 || line["gift"] != false {
		t.Errorf("got %v", line)
	}
	problem(a.call("POST", "/orders/"+nobody+"/order-lines", 404, object{"product": "Tea"}), object{"title": "What the path names is not there", "status": 404.0})
	a.call("POST", "/orders/"+id+"/order-lines", 400, object{"product": "Jam", "quantity": 0}) // the column's check says 1
	a.call("POST", "/orders/"+id+"/order-lines", 409, object{"product": "Tea"})                // by no word of the contract
	a.call("GET", "/orders/"+nobody+"/order-lines/1", 404, nil)
	problem(a.call("DELETE", "/customers/"+customers[0], 409, nil), object{"title": "The customer clashes with what is there", "status": 409.0})
	a.call("DELETE", "/orders/"+id, 204, nil)
	a.call("DELETE", "/orders/"+id, 404, nil)
	a.call("DELETE", "/customers/"+customers[0], 204, nil)
}

// guarded sees that operations behind a token are shut until a person says who may, and what a person writes goes
// before what is generated.
func guarded(t *testing.T, dir string, p project, url, address string) {
	t.Helper()
	shut := caller{t, address}
	shut.call("GET", "/v1/holidays", 501, nil)
	shut.call("POST", "/v1/holidays", 501, object{"day": "2030-01-01", "name": "New Year"})
	shut.call("GET", "/coupons", 501, nil)
	for name, code := range map[string]string{
		"src/authorize.ts": `import { HTTPException } from "hono/http-exception";
import type { Authorize } from "./crud";
export const authorize: Authorize = (c) => {
  if (c.req.header("Authorization") !== "Bearer secret") throw new HTTPException(401, { message: "Who are you?" });
};`,
		"src/handlers/001-shop.ts": `import type { Handlers } from "../routes/001-shop";
export const handlers = { listCustomers: (c) => c.json({ items: [], nextCursor: "mine" }, 200) } satisfies Partial<Handlers>;`,
	} {
		write(t, filepath.Join(p.folder, name), []byte(code))
	}
	address = serve(t, bundle(t, dir, p), url)
	own := caller{t, address}
	own.call("GET", "/v1/holidays", 401, nil)
	if got := own.call("GET", "/customers", 200, nil).(object)["nextCursor"]; got != "mine" {
		t.Errorf("the person's handler was not asked: %v", got)
	}
	newman(t, dir, p, "postman/002-coupons.postman_collection.json", address)
}

// tools serves the descriptors by the protocol's own library, and has its client list them.
func tools(t *testing.T, dir string, p project) {
	t.Helper()
	for _, name := range []string{"tools.mjs", "client.mjs"} {
		script, err := os.ReadFile(filepath.Join("testdata/node", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), script)
	}
	for name, want := range map[string]int{"001-shop": 14, "002-coupons": 5} {
		file := filepath.Join(p.folder, "mcp", name+".json")
		for _, script := range []string{"tools.mjs", "client.mjs"} {
			out, err := run(t.Context(), dir, "node", script, file)
			if got, _ := strconv.Atoi(strings.TrimSpace(out)); err != nil || got != want {
				t.Errorf("%s: %s lists %q, want %d: %v", name, script, out, want, err)
			}
		}
	}
}
