package workerd

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/app/preview"
)

// asksSibling is a Worker that passes on to a binding what ?of= names, and else answers by itself.
func asksSibling(name string) string {
	return answering(`const of = url.searchParams.get("of");
	if (of === null) return new Response("` + name + ` " + req.method + " " + url.pathname + url.search + " " + await req.text());
	try {
		const res = await env[of].fetch("http://whatever.example" + url.pathname + "?x=1", { method: "POST", body: "from ` + name + `" });
		return new Response(res.status + " " + await res.text());
	} catch (e) { return new Response("threw " + e.message, { status: 500 }); }`)
}

// TestSiblings: a binding leads to one Worker of the same environment, in whatever version it runs, and
// nowhere else.
func TestSiblings(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	api, stranger := resource(), resource()
	admin := api
	admin.Worker, admin.Name = "admin", preview.WorkerName(api.Name, "admin")
	bundle := func(name string, services map[string]string) *preview.Bundle {
		b := worker(asksSibling(name))
		b.Services, b.Digest = services, fmt.Sprint(b.Digest, services)
		return b
	}
	apply(t, rt, stranger, bundle("stranger", nil))
	apply(t, rt, api, bundle("api", map[string]string{"ADMIN": "admin", "SELF": ""}))
	// It is bound before the other one is there.
	if _, body := get(t, rt, api.Name, "/x?of=ADMIN"); !strings.HasPrefix(body, "404 ") {
		t.Errorf("a sibling that is not there answers %q", body)
	}
	apply(t, rt, admin, bundle("admin", map[string]string{"API": ""}))
	wantGet(t, rt, api.Name, "/x?of=ADMIN", "200 admin POST /x?x=1 from api")
	wantGet(t, rt, admin.Name, "/y?of=API", "200 api POST /y?x=1 from admin")
	wantGet(t, rt, api.Name, "/x?of=SELF", "200 api POST /x?x=1 from api")

	admin.Digest = "2"
	apply(t, rt, admin, bundle("second admin", nil))
	wantGet(t, rt, api.Name, "/x?of=ADMIN", "200 second admin POST /x?x=1 from api")
	if status, body := get(t, rt, admin.Name, "/y?of=API"); status != http.StatusInternalServerError {
		t.Errorf("a binding that is gone answers %q", body)
	}
	// What is no fetch fails, and only that.
	rpc := bundle("rpc", map[string]string{"ADMIN": "admin"})
	rpc.Modules[0].Content, rpc.Digest = []byte(answering(`try { return new Response("got " + await env.ADMIN.add(1)); } catch (e) { return new Response("threw"); }`)), "rpc"
	caller := resource()
	caller.Name, caller.Worker, caller.Mark = preview.WorkerName(api.Name, "caller"), "caller", api.Mark
	apply(t, rt, caller, rpc)
	wantGet(t, rt, caller.Name, "/", "threw")
	// More at once than a binding takes.
	answers := make(chan string)
	for range 2 * maxServiceConns {
		go func() { _, body := get(t, rt, api.Name, "/x?of=ADMIN"); answers <- body }()
	}
	for range 2 * maxServiceConns {
		if body := <-answers; body != "200 second admin POST /x?x=1 from api" {
			t.Fatalf("among many: %q", body)
		}
	}
	if err := rt.Delete(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, rt, api.Name, "/x?of=ADMIN"); !strings.HasPrefix(body, "404 ") {
		t.Errorf("a sibling that is gone answers %q", body)
	}
	wantGet(t, rt, api.Name, "/x", "api GET /x ")
}

// The host name that a Worker asks for picks nothing: the binding alone says who answers.
func TestSiblingHostIsNoAddress(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	api, stranger := resource(), resource()
	apply(t, rt, stranger, worker(answering(`return new Response("stranger")`)))
	b := worker(answering(`if (url.pathname === "/inner") return new Response("itself");
		return env.SELF.fetch("http://` + stranger.Name + `.localhost:8080/inner", { headers: { host: "` + stranger.Name + `.localhost" } })`))
	b.Services = map[string]string{"SELF": ""}
	apply(t, rt, api, b)
	wantGet(t, rt, api.Name, "/", "itself")
}
