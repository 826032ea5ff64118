package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Model is a model of the registry.
type Model struct {
	Model    string         `json:"model"`
	Aliases  map[string]int `json:"aliases"`
	Versions []Version      `json:"versions"`
	Cause    string         `json:"cause"` // why the rest is not known
}

// Version is a version of a model.
type Version struct {
	Version   int       `json:"version"`
	Aliases   []string  `json:"aliases"`
	Published time.Time `json:"published"`
	Hash      string    `json:"hash"`
	Loaded    bool      `json:"loaded"` // it answers without being loaded first
}

// Models lists the models.
func (c *Client) Models(ctx context.Context) ([]Model, error) {
	var out struct {
		Models []Model `json:"models"`
	}
	err := c.ask(ctx, call{method: http.MethodGet, path: []string{"v1", "models"}}, nil, &out)
	return out.Models, err
}

// Description is what there is to know of one version.
type Description struct {
	Model    string          `json:"model"`
	Version  int             `json:"version"`
	Hash     string          `json:"hash"`
	Aliases  map[string]int  `json:"aliases"`
	Columns  []Column        `json:"columns"`
	Example  Request         `json:"example"`  // it can be sent as it is
	Manifest json.RawMessage `json:"manifest"` // models/FORMAT.md
	Metrics  json.RawMessage `json:"metrics"`
}

// Column is a column of a row; Min, Median and Max are of the training rows, nil of a
// category.
type Column struct {
	Name         string   `json:"name"`
	Kind         string   `json:"kind"` // number, boolean, category, time
	Levels       int      `json:"levels"`
	Min          *float64 `json:"min"`
	Median       *float64 `json:"median"`
	Max          *float64 `json:"max"`
	MissingShare float64  `json:"missing_share"`
	Importance   float64  `json:"importance"`
}

// Model describes a model, or a version of it: churn, churn@7.
func (c *Client) Model(ctx context.Context, model string) (Description, error) {
	var out Description
	err := c.ask(ctx, call{method: http.MethodGet, path: []string{"v1", "models", model}}, nil, &out)
	return out, err
}

// Alias is where an alias points, and what answers for it.
type Alias struct {
	Model    string `json:"model"`
	Alias    string `json:"alias"`
	Version  int    `json:"version"`
	Previous int    `json:"previous"` // before the request; 0: none
	Serving  int    `json:"serving"`  // 0: nothing answers
	Cause    string `json:"cause"`    // why that is another version
}

// Aliases lists the aliases of a model.
func (c *Client) Aliases(ctx context.Context, model string) ([]Alias, error) {
	var out struct {
		Aliases []Alias `json:"aliases"`
	}
	err := c.ask(ctx, call{method: http.MethodGet, path: []string{"v1", "models", model, "aliases"}}, nil, &out)
	return out.Aliases, err
}

type move struct {
	Version int    `json:"version,omitempty"`
	Note    string `json:"note,omitempty"`
}

// MoveAlias points an alias at a version; the note says why, for the log.
func (c *Client) MoveAlias(ctx context.Context, model, alias string, version int, note string) (Alias, error) {
	var out Alias
	err := c.ask(ctx, call{method: http.MethodPut, path: []string{"v1", "models", model, "aliases", alias}}, move{version, note}, &out)
	return out, err
}

// Rollback points an alias back at the version it had before.
func (c *Client) Rollback(ctx context.Context, model, alias, note string) (Alias, error) {
	var out Alias
	err := c.ask(ctx, call{method: http.MethodPost, path: []string{"v1", "models", model, "aliases", alias, "rollback"}, once: true}, move{Note: note}, &out)
	return out, err
}

// Pushed is a version that was taken in.
type Pushed struct {
	Model     string `json:"model"`
	Version   int    `json:"version"`
	Hash      string `json:"hash"`
	Published bool   `json:"published"` // false: the same artifact was there already
}

// Push sends a version, a tar of its files (registry.WriteTar); no alias points at it yet.
func (c *Client) Push(ctx context.Context, model string, tar []byte) (Pushed, error) {
	var out Pushed
	k := call{method: http.MethodPut, path: []string{"v1", "models", model, "versions"}, contentType: "application/x-tar", body: tar}
	err := c.ask(ctx, k, nil, &out)
	return out, err
}

// Pull fetches the files of a version, a tar that registry.ReadTar checks. It is to be
// closed.
func (c *Client) Pull(ctx context.Context, model string, version int) (io.ReadCloser, error) {
	resp, err := c.do(ctx, &call{method: http.MethodGet, path: []string{"v1", "models", model, "versions", strconv.Itoa(version), "files"}})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
