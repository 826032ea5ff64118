package serve

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// patient is a body that may take as long as parts of it keep coming: the time to read
// starts anew with each. Its errors wrap errBody.
type patient struct {
	body    io.Reader
	control *http.ResponseController
	wait    time.Duration
}

// patient is the body of a request, of which most bytes are read at most.
func (s *Server) patient(c *gin.Context, control *http.ResponseController, most int64) *patient {
	return &patient{http.MaxBytesReader(c.Writer, c.Request.Body, most), control, s.cfg.ReadTimeout}
}

func (p *patient) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(p.wait)) // without a connection there is no deadline
	n, err := p.body.Read(b)
	switch {
	case err == io.EOF:
		// By now net/http itself reads on, to learn whether the client goes away, and takes a
		// deadline that passes for that: what is done next would be given up.
		_ = p.control.SetReadDeadline(time.Time{})
	case err != nil:
		err = fmt.Errorf("%w: %w", errBody, err)
	}
	return n, err
}
