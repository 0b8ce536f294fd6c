package server

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

const readyTimeout = 2 * time.Second

// routes is everything that listens on the public address: previews by their host name, the rest
// by path. A preview is another site than the API, so no cookie or storage is shared.
func (s *Server) routes(hook http.Handler) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.Use(gin.Recovery())
	engine.POST("/api/github/hook", gin.WrapH(hook))
	engine.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
	engine.GET("/readyz", s.ready)
	s.pages.Route(engine)

	if s.workers == nil {
		return engine
	}
	return byHost(s.domain, s.publicHost(), s.workers, newAbsent(s.store, s.domain, s.logger), engine)
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
