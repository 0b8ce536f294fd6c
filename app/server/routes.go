package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/dashboard"
)

const (
	hookPath     = "/api/github/hook"
	readyTimeout = 2 * time.Second
)

// routes is everything that listens on the public address: previews by their host name, the rest
// by path. A preview is another site than the API, so no cookie or storage is shared.
func (s *Server) routes(hook http.Handler) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.Use(requestSpans(s.exporter.Tracer()), recovery(s.logger, s.metrics.Failed))
	engine.POST(hookPath, gin.WrapH(hook))
	engine.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
	engine.GET("/readyz", s.ready)
	s.pages.Route(engine)
	engine.POST(specPath, s.newSpecAPI().apply)
	engine.NoRoute(noPage)

	if s.workers == nil {
		return engine
	}
	absent := newAbsent(s.store, s.domain, s.logger)
	absent.failed = s.metrics.Failed
	return byHost(s.domain, s.publicHost(), s.workers, traced(s.exporter.Tracer(), "absent preview", absent), engine)
}

// noPage answers a person who came without the address of a page; programs get Gin's few words.
func noPage(c *gin.Context) {
	if !strings.Contains(c.GetHeader("Accept"), "text/html") {
		return
	}
	dashboard.WriteNotice(c.Writer, http.StatusNotFound, dashboard.Notice{Title: "There is no page here", Text: "This is a Flaresmith server.",
		Hint: "The details of a check on GitHub lead to its repository's page."})
}

// recovery answers for a handler that panics with our envelope, and tells the log and the metric; Gin would print the
// request. An answer that has begun can't be taken back: its connection ends, so that nobody takes it for whole.
func recovery(logger *slog.Logger, failed func(code, severity string)) gin.HandlerFunc {
	return gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, value any) {
		p := problem{Code: "INTERNAL_ERROR", Message: "Something went wrong in the server.", Severity: "critical", RetryPolicy: retryNone,
			RequestID: uuid.NewString(), Hint: "Tell the operator the request's id: the log has the cause under it."}
		logger.ErrorContext(c.Request.Context(), "handler panicked", slog.String("requestId", p.RequestID), slog.String("code", p.Code),
			slog.String("route", c.FullPath()), slog.Any("panic", value), slog.String("stack", string(debug.Stack())))
		failed(p.Code, p.Severity)
		c.Abort()
		if c.Writer.Written() {
			panic(http.ErrAbortHandler)
		}
		p.write(c.Writer, c.Request, http.StatusInternalServerError)
	})
}

// workers are the previews that are up.
type workers interface {
	http.Handler
	Serves(name string) bool
}

// byHost leads <name>.<domain> to the Worker of that name, or to absent where there is none, and
// everything else to rest. The server's own host name may be below domain, too.
func byHost(domain, own string, up workers, absent, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r)
		name, ok := strings.CutSuffix(host, "."+domain)
		switch {
		case !ok, host == own:
			rest.ServeHTTP(w, r)
		case up.Serves(name):
			up.ServeHTTP(w, r)
		default:
			absent.ServeHTTP(w, r)
		}
	})
}

// ready answers whether the server can take deliveries.
func (s *Server) ready(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readyTimeout)
	defer cancel()
	if err := s.store.Ping(ctx); err != nil {
		c.JSON(http.StatusServiceUnavailable, gin.H{"status": "the database does not answer"})
		return
	}
	c.JSON(http.StatusOK, gin.H{"status": "ok"})
}

func (s *Server) metricsRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.handler())
	return mux
}

func hostOf(r *http.Request) string {
	host := strings.ToLower(r.Host)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(host, ".")
}
