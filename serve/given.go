package serve

import (
	"github.com/gin-gonic/gin"

	"propensity/models"
)

// given is a score on its way out. It and all that it points to are valid during the
// call that gets it, and no longer: who wants more keeps a copy.
type given struct {
	c       *gin.Context // the HTTP request it was asked for by
	version *version
	request *request // account, row and moment
	answer  *models.Answer
}

// give tells all who want to know of a score, before it goes out. With an error it
// does not go out.
func (s *Server) give(g *given) error {
	if err := s.spend(g.c); err != nil {
		return err
	}
	if g.request.dryRun {
		return nil
	}
	if s.shadow != nil {
		s.shadow.offer(g)
	}
	if len(g.version.watched) > 0 && s.fallen != nil {
		s.fallen.offer(g)
	}
	end := noSpan
	if s.cfg.LedgerSync && g.c != nil { // only then it is waited for
		end = s.traces.child(g.c.Request.Context(), "ledger", g.version)
	}
	err := s.record(g)
	end(err)
	if err != nil {
		return err
	}
	g.version.counts.Count(g.answer, g.request.account)
	return nil
}
