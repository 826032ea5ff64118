package serve

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

func (s *Server) monitorRoutes(e *gin.Engine) {
	e.GET("/v1/models/:name/monitor", s.allow(scopeRead), s.getMonitor)
}

// getMonitor judges a version by what it was asked of late: since is how long, such as 7d
// or 36h.
func (s *Server) getMonitor(c *gin.Context) {
	window := s.cfg.MonitorWindow
	if text, ok := c.GetQuery("since"); ok {
		var err error
		if window, err = windowOf(text); err != nil {
			s.fail(c, err)
			return
		}
		if window > s.cfg.MonitorKeep {
			s.fail(c, refuse(http.StatusBadRequest, fmt.Sprintf("since %q reaches further back than counts are kept, which is %d hours", clip(text), int(s.cfg.MonitorKeep.Hours()))))
			return
		}
	}
	v, err := s.version(c.Request.Context(), c.Param("name"))
	if err != nil {
		s.fail(c, err)
		return
	}
	r, err := s.judgeVersion(c.Request.Context(), v, window)
	if err != nil {
		s.fail(c, err)
		return
	}
	writeJSON(c, http.StatusOK, "application/json", r)
}

// windowOf reads a length of time in days (7d) or hours (36h).
func windowOf(text string) (time.Duration, error) {
	const most = 36_500 * 24
	unit := time.Hour
	digits, ok := strings.CutSuffix(text, "h")
	if !ok {
		digits, ok = strings.CutSuffix(text, "d")
		unit = 24 * time.Hour
	}
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > most {
		return 0, refuse(http.StatusBadRequest, fmt.Sprintf("since %q is no length of time: write days as 7d, or hours as 36h", clip(text)))
	}
	return time.Duration(n) * unit, nil
}
