package serve

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/goccy/go-yaml"
)

// openapiYAML is what the server promises: each route, and each answer it may give.
//
//go:embed openapi.yaml
var openapiYAML []byte

// contract is openapi.yaml in its other forms, made when they are first asked for.
type contract struct {
	json func() ([]byte, error)
	page func() ([]byte, error)
}

func newContract() *contract {
	return &contract{
		json: sync.OnceValues(func() ([]byte, error) { return yaml.YAMLToJSON(openapiYAML) }),
		page: sync.OnceValues(func() ([]byte, error) { return referencePage(openapiYAML) }),
	}
}

func (s *Server) contractRoutes(e *gin.Engine) {
	c := newContract()
	e.GET("/openapi.yaml", s.document("application/yaml", func() ([]byte, error) { return openapiYAML, nil }))
	e.GET("/openapi.json", s.document("application/json", c.json))
	e.GET("/docs", s.document("text/html; charset=utf-8", c.page))
}

// document answers with one form of the contract.
func (s *Server) document(contentType string, form func() ([]byte, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		text, err := form()
		if err != nil {
			s.fail(c, fmt.Errorf("openapi.yaml: %w", err))
			return
		}
		if strings.HasPrefix(contentType, "text/html") {
			c.Header("Content-Security-Policy", pagePolicy(text))
		}
		s.read(c, contentType, text, nil)
	}
}
