package serve

import (
	"log/slog"
	"time"

	"github.com/gin-gonic/gin"
)

// logged writes a line of each request: its route and not its path, which may hold the
// id of an account, and nothing of its header or body. Checks of health are left out
// unless they fail.
func (s *Server) logged(c *gin.Context) {
	start := time.Now()
	defer func() {
		route, status := c.FullPath(), c.Writer.Status()
		if (route == "/livez" || route == "/readyz" || route == "/metrics") && status < 400 {
			return
		}
		if route == "" {
			route = "none"
		}
		s.log.LogAttrs(c.Request.Context(), slog.LevelInfo, "request",
			slog.String("request", requestID(c)), slog.String("method", c.Request.Method), slog.String("route", route),
			slog.Int("status", status), slog.Float64("seconds", time.Since(start).Seconds()),
			slog.Int64("in", max(c.Request.ContentLength, 0)), slog.Int("out", max(c.Writer.Size(), 0)), slog.String("key", caller(c)))
	}()
	c.Next()
}
