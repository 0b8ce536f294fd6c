package github

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// defaultHookTimeout is how long GitHub waits for an answer.
const defaultHookTimeout = 10 * time.Second

// Delivery is one attempt to deliver an event.
type Delivery struct {
	ID             int64
	GUID           string // the same for every attempt at one event
	Event, Action  string
	InstallationID int64 // 0: none
	RepositoryID   int64 // 0: none
	Redelivery     bool
	Payload        []byte
	Signature      string    // X-Hub-Signature-256 as sent
	DeliveredAt    time.Time // zero while it waits
	Duration       time.Duration
	StatusCode     int    // 0: no answer
	Status         string // "OK", or what went wrong
	Response       string // the first 64 KiB of the answer's body
}

// hooks is the App's webhook: one queue, one goroutine, every attempt recorded.
type hooks struct {
	server *Server
	client *http.Client
	stop   context.CancelFunc
	done   chan struct{}

	mu         sync.Mutex // taken after Server.mu
	changed    *sync.Cond
	target     Webhook
	paused     bool
	closed     bool
	busy       bool
	ids        int64
	deliveries []*Delivery
	queue      []*Delivery
}

func (h *hooks) init(s *Server) {
	ctx, stop := context.WithCancel(context.Background())
	h.server, h.stop, h.done = s, stop, make(chan struct{})
	h.changed = sync.NewCond(&h.mu)
	h.ids = 5000
	h.client = &http.Client{
		Timeout:       h.server.cfg.HookTimeout,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	go h.run(ctx)
}

func (h *hooks) close() {
	h.mu.Lock()
	h.closed = true
	h.changed.Broadcast()
	h.mu.Unlock()
	h.stop()
	<-h.done
	h.client.CloseIdleConnections()
}

func (h *hooks) url() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.target.URL
}

// deliver queues an event. The payload is encoded at once, so later changes do not show in it.
func (h *hooks) deliver(event, action string, installation, repo int64, payload object) {
	body, err := json.Marshal(payload)
	if err != nil { // a payload is made of plain values
		h.server.log.Error("encode payload", "event", event, "error", err)
		return
	}
	h.server.checkWebhook(event, action, body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ids++
	h.add(&Delivery{
		ID: h.ids, GUID: uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s/%d", h.server.pushKey, h.ids)).String(),
		Event: event, Action: action, InstallationID: installation, RepositoryID: repo, Payload: body, Status: "pending",
	})
}

func (h *hooks) add(d *Delivery) {
	h.deliveries = append(h.deliveries, d)
	h.queue = append(h.queue, d)
	h.changed.Broadcast()
}

// redeliver queues another attempt at the event of a delivery.
func (h *hooks) redeliver(id int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.deliveries {
		if d.ID != id {
			continue
		}
		h.ids++
		again := *d
		again.ID, again.Redelivery, again.DeliveredAt, again.StatusCode, again.Status = h.ids, true, time.Time{}, 0, "pending"
		again.Response, again.Signature, again.Duration = "", "", 0
		h.add(&again)
		return true
	}
	return false
}

func (h *hooks) run(ctx context.Context) {
	defer close(h.done)
	for {
		h.mu.Lock()
		for !h.closed && (len(h.queue) == 0 || h.paused) {
			h.busy = false
			h.changed.Broadcast()
			h.changed.Wait()
		}
		if h.closed {
			h.mu.Unlock()
			return
		}
		d := h.queue[0]
		h.queue, h.busy = h.queue[1:], true
		attempt, target := *d, h.target
		h.mu.Unlock()

		h.send(ctx, &attempt, target)

		h.mu.Lock()
		*d = attempt
		h.mu.Unlock()
	}
}

// send makes one attempt and notes in d what came of it.
func (h *hooks) send(ctx context.Context, d *Delivery, target Webhook) {
	d.DeliveredAt, d.Signature = h.server.now(), sign(target.Secret, d.Payload)
	if target.URL == "" {
		d.Status = "no webhook"
		return
	}
	ctx, cancel := context.WithTimeout(ctx, h.server.cfg.HookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.URL, bytes.NewReader(d.Payload))
	if err != nil {
		d.Status = err.Error()
		return
	}
	for key, value := range d.headers(h.server.cfg.AppID) {
		req.Header.Set(key, value)
	}
	start := time.Now()
	resp, err := h.client.Do(req)
	d.Duration = time.Since(start)
	if err != nil {
		d.Status = "failed to connect"
		if ctx.Err() != nil || os.IsTimeout(err) {
			d.Status = "timed out"
		}
		h.server.log.Debug("delivery failed", "event", d.Event, "error", err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	d.StatusCode, d.Status, d.Response = resp.StatusCode, "OK", string(body)
	if d.failed() {
		d.Status = fmt.Sprintf("Invalid HTTP Response: %d", resp.StatusCode)
	}
	d.Duration = time.Since(start)
}

func (d *Delivery) headers(appID int64) map[string]string {
	headers := map[string]string{
		"Accept": "*/*", "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/standin",
		"X-GitHub-Event": d.Event, "X-GitHub-Delivery": d.GUID, "X-GitHub-Hook-ID": "1",
		"X-GitHub-Hook-Installation-Target-Type": "integration", "X-GitHub-Hook-Installation-Target-ID": fmt.Sprint(appID),
	}
	if d.Signature != "" {
		headers["X-Hub-Signature-256"] = d.Signature
	}
	return headers
}

func sign(secret string, body []byte) string {
	if secret == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// list gives finished and waiting deliveries, newest first.
func (h *hooks) list() []Delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Delivery, len(h.deliveries))
	for i, d := range h.deliveries {
		list[len(list)-1-i] = *d
	}
	return list
}

// SetWebhook says where deliveries go from now on; waiting ones too.
func (s *Server) SetWebhook(w Webhook) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.target = w
}

// getHookConfig shows where deliveries go; the secret is masked.
func (c *call) getHookConfig() (answer, error) {
	c.s.hooks.mu.Lock()
	defer c.s.hooks.mu.Unlock()
	target := c.s.hooks.target
	body := object{"url": target.URL, "content_type": "json", "insecure_ssl": "0"}
	if target.Secret != "" {
		body["secret"] = "********"
	}
	return answer{body: body}, nil
}

// PauseDeliveries holds deliveries back, as if GitHub were slow; false lets them go.
func (s *Server) PauseDeliveries(paused bool) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.paused = paused
	s.hooks.changed.Broadcast()
}

// Deliveries lists every attempt so far, newest first.
func (s *Server) Deliveries() []Delivery { return s.hooks.list() }

// Redeliver attempts the event of that GUID once more.
func (s *Server) Redeliver(guid string) error {
	for _, d := range s.hooks.list() {
		if strings.EqualFold(d.GUID, guid) {
			s.hooks.redeliver(d.ID)
			return nil
		}
	}
	return fmt.Errorf("delivery %s: %w", guid, ErrNotFound)
}

// Flush waits until no delivery is waiting or under way, or ctx ends.
func (s *Server) Flush(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		s.hooks.mu.Lock()
		defer s.hooks.mu.Unlock()
		s.hooks.changed.Broadcast()
	})()
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	for !s.hooks.closed && (s.hooks.busy || len(s.hooks.queue) > 0) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("deliveries: %w", err)
		}
		s.hooks.changed.Wait()
	}
	return nil
}
