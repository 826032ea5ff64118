// Command gin reads the JSON of a request and answers without a model: what Gin and
// encoding/json take by themselves.
//
//	gin 127.0.0.1:8080
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
)

type request struct {
	Account  string         `json:"account_id"`
	Features map[string]any `json:"features"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gin ADDRESS")
		os.Exit(2)
	}
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.POST("/echo", func(c *gin.Context) {
		var q request
		if err := c.ShouldBindJSON(&q); err != nil {
			c.JSON(http.StatusBadRequest, gin.H{"error": err.Error()})
			return
		}
		c.JSON(http.StatusOK, gin.H{"account_id": q.Account, "score": 0.5})
	})
	if err := e.Run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gin:", err)
		os.Exit(1)
	}
}
