package cloudflare

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// The types of binding to a thing of the account. Only KV is served, the others are there to be bound to: a Worker
// finds nothing under their names.
const (
	bindingKV         = "kv_namespace"
	bindingD1         = "d1"
	bindingR2         = "r2_bucket"
	bindingHyperdrive = "hyperdrive"
	bindingQueue      = "queue"
	bindingVectorize  = "vectorize"
	bindingDataset    = "analytics_engine"
)

func isThing(kind string) bool {
	return slices.Contains([]string{bindingKV, bindingD1, bindingR2, bindingHyperdrive, bindingQueue, bindingVectorize, bindingDataset}, kind)
}

// thing is one of the account's, by the type of its binding and its id or name.
type thing struct{ kind, id string }

// store is what a thing holds.
type store struct {
	mu     sync.Mutex
	values map[string][]byte
	inner  *inner // the way to it; nil until something is bound
}

// target is what a binding to a thing of the account leads to.
func (i thingID) target() string {
	return cmp.Or(i.Namespace, i.ID, i.Bucket, i.Queue, i.Index, i.Dataset)
}

func noThing(b binding) error {
	switch b.Type {
	case bindingKV:
		return fail(http.StatusBadRequest, codeNoNamespace, "KV namespace '%s' not found.", b.target())
	case bindingR2:
		return fail(http.StatusBadRequest, codeNoBucket, "R2 bucket '%s' not found.", b.target())
	}
	return fail(http.StatusBadRequest, codeUpload, "binding %s of type %s leads to nothing.", b.Name, b.Type)
}

// Codes of bindings that lead nowhere.
const (
	codeNoNamespace = 10041
	codeNoBucket    = 10085
)

// Add puts a thing into the account: kind is the type of its binding, such as "kv_namespace".
func (s *Server) Add(kind, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.things[thing{kind, id}] = &store{values: map[string][]byte{}}
}

// Value is what a KV namespace holds under a key; false: nothing.
func (s *Server) Value(namespace, key string) (string, bool) {
	s.mu.Lock()
	held := s.things[thing{bindingKV, namespace}]
	s.mu.Unlock()
	if held == nil {
		return "", false
	}
	held.mu.Lock()
	defer held.mu.Unlock()
	value, ok := held.values[key]
	return string(value), ok
}

func (s *Server) listNamespaces(r *http.Request) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []object
	for t := range s.things {
		if t.kind == bindingKV {
			all = append(all, object{"id": t.id, "title": t.id, "supports_url_encoding": true})
		}
	}
	slices.SortFunc(all, func(a, b object) int { return strings.Compare(a["id"].(string), b["id"].(string)) })
	return page(all, r), nil
}

// namespace is the socket at which a KV namespace speaks workerd's protocol.
func (s *Server) namespace(id string) (string, error) {
	s.mu.Lock()
	held := s.things[thing{bindingKV, id}]
	s.mu.Unlock()
	if held == nil {
		return "", fail(http.StatusBadRequest, codeNoNamespace, "KV namespace '%s' not found.", id)
	}
	held.mu.Lock()
	defer held.mu.Unlock()
	if held.inner == nil {
		way, err := listen(s.path(".kv"), held)
		if err != nil {
			return "", err
		}
		held.inner = way
	}
	return held.inner.socket, nil
}

// ServeHTTP is a KV namespace as workerd asks for it: one key a request.
func (h *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const most = 25 << 20
	key, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/"))
	if err != nil || key == "" {
		w.WriteHeader(http.StatusNotImplemented) // a list of keys
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		value, ok := h.values[key]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(value)
	case http.MethodPut:
		value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
		if err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		h.values[key] = value
	case http.MethodDelete:
		delete(h.values, key)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}
