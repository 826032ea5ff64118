package serve

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

func (s *Server) modelRoutes(e *gin.Engine) {
	e.GET("/v1/models", s.allow(scopeRead), s.listModels)
	e.GET("/v1/models/:name", s.allow(scopeRead), s.describeModel)
}

// listing is the answer of GET /v1/models.
type listing struct {
	Models []listed `json:"models"`
}

type listed struct {
	Model    string          `json:"model"`
	Aliases  map[string]int  `json:"aliases"`
	Versions []listedVersion `json:"versions"`
	Cause    string          `json:"cause,omitempty"` // why the rest is not known
}

type listedVersion struct {
	Version   int       `json:"version"`
	Aliases   []string  `json:"aliases"`
	Published time.Time `json:"published"`
	Hash      string    `json:"hash,omitempty"`
	// Loaded says that it answers without being loaded first.
	Loaded bool `json:"loaded"`
}

// listModels tells what the registry has at present.
func (s *Server) listModels(c *gin.Context) {
	names, err := s.cfg.Registry.Models()
	if err != nil {
		s.log.Error("registry cannot be listed", slog.Any("error", err))
		s.fail(c, refuse(http.StatusServiceUnavailable, "the registry: "+causeOf(err)))
		return
	}
	out := listing{Models: []listed{}}
	for _, name := range names {
		out.Models = append(out.Models, s.listModel(name))
	}
	s.readJSON(c, out)
}

func (s *Server) listModel(name string) listed {
	l := listed{Model: name, Aliases: map[string]int{}, Versions: []listedVersion{}}
	versions, err := s.cfg.Registry.Versions(name)
	if err != nil {
		s.log.Error("versions cannot be listed", slog.String("model", name), slog.Any("error", err))
		l.Cause = causeOf(err)
		return l
	}
	for _, v := range versions {
		for _, alias := range v.Aliases {
			l.Aliases[alias] = v.Number
		}
		l.Versions = append(l.Versions, listedVersion{v.Number, v.Aliases, v.Published, v.Hash, s.loaded(name, v.Number)})
	}
	return l
}

func (s *Server) loaded(name string, number int) bool {
	if m := s.state.Load().models[name]; m != nil && m.find(number) != nil {
		return true
	}
	return s.pinned.has(name, number)
}

// description is the answer of GET /v1/models/{name}.
type description struct {
	Model   string         `json:"model"`
	Version int            `json:"version"`
	Hash    string         `json:"hash"`
	Aliases map[string]int `json:"aliases"` // the versions that answer for them
	// Columns are what a row needs, in the encoder's order.
	Columns []column `json:"columns"`
	// Example is a request that can be sent as it is: an ordinary account.
	Example  example         `json:"example"`
	Manifest models.Manifest `json:"manifest"`
	Metrics  models.Metrics  `json:"metrics"`
}

// column describes one column of a row.
type column struct {
	Name   string        `json:"name"`
	Kind   datasets.Kind `json:"kind"`
	Levels int           `json:"levels,omitempty"` // categories seen in training
	// Min, Median and Max are of the training rows; a time is in days before the
	// moment. A category has none.
	Min    *float64 `json:"min,omitempty"`
	Median *float64 `json:"median,omitempty"`
	Max    *float64 `json:"max,omitempty"`
	// MissingShare of the training rows and Importance in the model are 0 to 1.
	MissingShare float64 `json:"missing_share"`
	Importance   float64 `json:"importance"`
}

type example struct {
	Account string     `json:"account"`
	Row     orderedRow `json:"row"`
	AsOf    string     `json:"as_of"`
}

// orderedRow is a row whose fields are written in the encoder's order.
type orderedRow struct {
	columns []features.Column
	values  []datasets.Value
}

// MarshalJSON writes an object.
func (r orderedRow) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for j := range r.columns {
		name, err := json.Marshal(r.columns[j].Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(r.values[j])
		if err != nil {
			return nil, err
		}
		if j > 0 {
			b.WriteByte(',')
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// exampleMoment is the moment of all examples, 2026-01-01 UTC.
const exampleMoment int64 = 1_767_225_600_000_000

// describeModel tells about one version what a client must know to use it.
func (s *Server) describeModel(c *gin.Context) {
	v, err := s.version(c.Request.Context(), c.Param("name"))
	if err != nil {
		s.fail(c, err)
		return
	}
	a := v.scorer.Artifact()
	d := description{
		Model: v.name, Version: v.number, Hash: v.hash, Aliases: map[string]int{},
		Columns: []column{}, Manifest: a.Manifest, Metrics: a.Metrics,
		Example: example{Account: "A-1", AsOf: datasets.FormatTime(exampleMoment), Row: orderedRow{columns: a.Encoder.Columns}},
	}
	if m := s.state.Load().models[v.name]; m != nil {
		for alias, p := range m.aliases {
			if p.version != nil {
				d.Aliases[alias] = p.version.number
			}
		}
	}
	importance := v.scorer.Importance()
	for j := range a.Encoder.Columns {
		e := &a.Encoder.Columns[j]
		col := column{Name: e.Name, Kind: e.Kind, Levels: len(e.Levels), MissingShare: e.MissingShare(), Importance: importance[j]}
		if e.Kind != datasets.Category {
			col.Min, col.Median, col.Max = &e.Min, &e.Median, &e.Max
		}
		d.Columns = append(d.Columns, col)
		d.Example.Row.values = append(d.Example.Row.values, ordinary(e))
	}
	s.readJSON(c, d)
}

// ordinary is the typical value of a column as a request would send it.
func ordinary(c *features.Column) datasets.Value {
	v := c.Typical()
	switch c.Kind {
	case datasets.Time:
		const day = 24 * 60 * 60 * 1e6
		return datasets.Value{Kind: datasets.Time, Time: exampleMoment - int64(v.Number*day)}
	case datasets.Boolean:
		if v.Number != 0 { // the median of as many of each is a half
			v.Number = 1
		}
	}
	return v
}
