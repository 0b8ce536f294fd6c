package inbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/palantir/go-githubapp/githubapp"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	// MaxBody is the largest delivery that GitHub sends.
	MaxBody = 25 << 20

	// GitHub gives up after 10 s and does not try again, so it must hear of a failure before that.
	storeTimeout = 8 * time.Second

	maxDeliveryID = 128 // characters
	retryAfter    = "5" // seconds

	// GitHub's usual body has 24 KB.
	firstBuffer = 64 << 10  // at most, on the word of Content-Length; more only for what really comes
	keptBody    = 128 << 10 // a larger buffer is not kept for the next request
)

const (
	headerEvent     = "X-Github-Event"
	headerDelivery  = "X-Github-Delivery"
	headerSignature = "X-Hub-Signature-256" // the SHA-1 one beside it is ignored
)

var eventName = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

// Observer is told of every delivery, for metrics. Implementations must be safe for concurrent use.
type Observer interface {
	// Received is called once a request is answered. The event is empty unless the signature was good.
	Received(event string, status int)
	// Handled is called when a delivery left the worker: "done", "ignored" (no handler), "failed"
	// or "retry".
	Handled(event, outcome string, took time.Duration)
	// Redelivered is called for a delivery that did not arrive and was looked up: "stored", or "lost" when
	// GitHub no longer has it.
	Redelivered(event, outcome string)
}

// Options are what a Handler needs besides its scheduler.
type Options struct {
	Secrets  []preview.Secret // active webhook secrets: one, or two while rotating
	Observer Observer         // nil: nobody
	Logger   *slog.Logger     // nil: slog.Default()
}

// Limits on bodies whose signature is not known yet: anybody can send them.
const (
	bodyTimeout = 10 * time.Second // as long as GitHub itself waits for an answer
	maxBuffered = 256 << 20        // bytes of all of them together
)

// Handler is POST /api/github/hook.
type Handler struct {
	buffered    atomic.Int64 // bytes of bodies that are being read or stored
	maxBuffered int64
	bodyTimeout time.Duration
	secrets     [][]byte
	scheduler   githubapp.Scheduler
	bodies      sync.Pool // *bytes.Buffer
	observer    Observer
	logger      *slog.Logger
}

// NewHandler makes the webhook's handler. The scheduler must not keep a payload: its bytes are the
// next request's. An empty list of secrets, or an empty secret, is an error: it would let everybody in.
func NewHandler(scheduler githubapp.Scheduler, opts Options) (*Handler, error) {
	h := &Handler{scheduler: scheduler, observer: opts.Observer, logger: opts.Logger, maxBuffered: maxBuffered, bodyTimeout: bodyTimeout}
	h.bodies.New = func() any { return new(bytes.Buffer) }
	for _, s := range opts.Secrets {
		if strings.TrimSpace(s.Reveal()) == "" {
			return nil, errors.New("a webhook secret is empty")
		}
		h.secrets = append(h.secrets, []byte(s.Reveal()))
	}
	if len(h.secrets) == 0 {
		return nil, errors.New("no webhook secret is set")
	}
	if h.logger == nil {
		h.logger = slog.Default()
	}
	return h, nil
}

const accepted = `{"status":"accepted"}` + "\n"

// refusal is an answer other than 202.
type refusal struct {
	status  int
	code    string
	message string
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	event, refused := h.receive(w, r)
	status := http.StatusAccepted
	if refused != nil {
		status = refused.status
	}
	switch status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if refused == nil {
		_, _ = io.WriteString(w, accepted) // the peer may be gone; nothing depends on it
	} else {
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": refused.code, "message": refused.message}})
	}
	if h.observer != nil {
		h.observer.Received(event, status)
	}
}

// receive takes one delivery; nil means that it is stored. The event is told once the signature is good.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (event string, refused *refusal) {
	// It holds for what is left of a refused body, too: the server reads that before the next request. Where the
	// connection has no deadlines, as in a test's recorder, there is nobody who is slow.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(h.bodyTimeout))
	d, form, refused := checkHeaders(r)
	if refused != nil {
		return "", refused
	}
	signature, ok := parseSignature(r.Header.Get(headerSignature))
	if !ok {
		return "", &refusal{http.StatusUnauthorized, "signature_missing", "the " + headerSignature + " header is missing or malformed: the App needs a webhook secret on its settings page"}
	}
	buffer := h.bodies.Get().(*bytes.Buffer)
	defer h.keep(buffer)
	reader := &counted{from: http.MaxBytesReader(w, r.Body, MaxBody), total: &h.buffered, most: h.maxBuffered}
	defer reader.giveBack()
	body, refused := readBody(reader, r.ContentLength, buffer)
	if refused != nil {
		return "", refused
	}
	_ = connection.SetReadDeadline(time.Time{}) // one that passes later would end the request
	if !h.signed(body, signature) {
		h.logger.WarnContext(r.Context(), "webhook signature does not match: the webhook secret on the App's settings page is none of GITHUB_WEBHOOK_SECRET", "delivery", d.DeliveryID)
		return "", &refusal{http.StatusForbidden, "signature_mismatch", "the signature does not match: the webhook secret on the App's settings page is not this server's"}
	}
	if d.Payload, ok = payloadOf(body, form); !ok {
		return d.EventType, &refusal{http.StatusBadRequest, "payload_invalid", "the payload is not a JSON object"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	err := h.scheduler.Schedule(ctx, d)
	switch {
	case errors.Is(err, githubapp.ErrCapacityExceeded): // the metric tells; a line each would add to the load
		return d.EventType, &refusal{http.StatusServiceUnavailable, "busy", "too many deliveries at once, try again"}
	case err != nil:
		h.logger.ErrorContext(ctx, "webhook delivery not stored", "delivery", d.DeliveryID, "event", d.EventType, "error", err)
		return d.EventType, &refusal{http.StatusServiceUnavailable, "unavailable", "the delivery could not be stored, try again"}
	}
	return d.EventType, nil
}

// checkHeaders refuses what needs no look at the body.
func checkHeaders(r *http.Request) (d githubapp.Dispatch, form bool, refused *refusal) {
	if r.Method != http.MethodPost {
		return d, false, &refusal{http.StatusMethodNotAllowed, "method_not_allowed", "only POST is accepted"}
	}
	switch mediaType(r.Header.Get("Content-Type")) {
	case "application/json":
	case "application/x-www-form-urlencoded":
		form = true
	default:
		return d, false, &refusal{http.StatusUnsupportedMediaType, "media_type", "the content type must be application/json or application/x-www-form-urlencoded"}
	}
	if r.ContentLength > MaxBody {
		return d, false, tooLarge()
	}
	d.EventType, d.DeliveryID = r.Header.Get(headerEvent), r.Header.Get(headerDelivery)
	if !eventName.MatchString(d.EventType) {
		return d, false, &refusal{http.StatusBadRequest, "event_invalid", "the " + headerEvent + " header is missing or malformed"}
	}
	if !validDeliveryID(d.DeliveryID) {
		return d, false, &refusal{http.StatusBadRequest, "delivery_invalid", "the " + headerDelivery + " header is missing or malformed"}
	}
	return d, form, nil
}

func validDeliveryID(id string) bool {
	if id == "" || !utf8.ValidString(id) || utf8.RuneCountInString(id) > maxDeliveryID {
		return false
	}
	return strings.IndexFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func tooLarge() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, "too_large", "a delivery has at most 25 MB"}
}

// mediaType is the header without its parameters.
func mediaType(header string) string {
	if header == "application/json" { // as GitHub sends it
		return header
	}
	media, _, _ := mime.ParseMediaType(header) // a broken parameter does not matter
	return media
}

// counted reads a body and adds its bytes to those of all bodies, as they come: who only announces them takes nothing
// from others.
type counted struct {
	from  io.Reader
	total *atomic.Int64
	most  int64
	own   int64
}

var errBuffered = errors.New("too many bodies at once")

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.own += int64(n)
	if c.total.Add(int64(n)) > c.most {
		return n, errBuffered
	}
	return n, err
}

// giveBack is called when the body is kept no longer.
func (c *counted) giveBack() { c.total.Add(-c.own) }

// readBody reads the body, of so many bytes if that is known, into the buffer, which the result belongs to.
func readBody(body io.Reader, length int64, buffer *bytes.Buffer) ([]byte, *refusal) {
	buffer.Grow(int(min(max(length, 0), firstBuffer)) + bytes.MinRead) // as large as it gets, if it is that large
	_, err := buffer.ReadFrom(body)
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge()
	case errors.Is(err, errBuffered):
		return nil, &refusal{http.StatusServiceUnavailable, "busy", "too many deliveries at once, try again"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &refusal{http.StatusRequestTimeout, "body_slow", "the body did not arrive in time"}
	case err != nil:
		return nil, &refusal{http.StatusBadRequest, "body_unreadable", "the body could not be read"}
	}
	return buffer.Bytes(), nil
}

// keep lets another request use the buffer.
func (h *Handler) keep(buffer *bytes.Buffer) {
	if buffer.Cap() <= keptBody {
		buffer.Reset()
		h.bodies.Put(buffer)
	}
}

// parseSignature reads "sha256=<64 hexadecimal characters>".
func parseSignature(header string) (mac []byte, ok bool) {
	digits, ok := strings.CutPrefix(header, "sha256=")
	if !ok || len(digits) != hex.EncodedLen(sha256.Size) {
		return nil, false
	}
	mac, err := hex.DecodeString(digits)
	return mac, err == nil
}

// signed reports whether one of the secrets made the signature. Every secret is tried, so that
// the time taken does not tell which one it was.
func (h *Handler) signed(body, signature []byte) bool {
	good := false
	for _, secret := range h.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), signature) {
			good = true
		}
	}
	return good
}

// payloadOf returns the JSON object that the signed body carries. Whether it is sound inside is
// seen when it is handled: looking costs more than all the rest.
func payloadOf(body []byte, form bool) (payload []byte, ok bool) {
	payload = body
	if form {
		values, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, false
		}
		payload = []byte(values.Get("payload"))
	}
	payload = bytes.Trim(payload, " \t\r\n")
	return payload, len(payload) >= 2 && payload[0] == '{' && payload[len(payload)-1] == '}'
}
