package serve

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

// What is done once a body is there may take longer than the client had to send it.
func TestPatientIsNotGivenUp(t *testing.T) {
	s := &Server{}
	s.cfg.ReadTimeout = 20 * time.Millisecond
	e := gin.New()
	e.POST("/", func(c *gin.Context) {
		body := s.patient(c, http.NewResponseController(c.Writer), 10)
		for range 2 { // decoders look for the end again
			if _, err := io.ReadAll(body); err != nil {
				t.Error(err)
			}
		}
		select {
		case <-c.Request.Context().Done():
			t.Error("given up")
		case <-time.After(5 * s.cfg.ReadTimeout):
		}
	})
	server := httptest.NewServer(e)
	defer server.Close()
	r, err := http.Post(server.URL, "text/plain", strings.NewReader("12345"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Body.Close(); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("%d, %v", r.StatusCode, err)
	}
}
