package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/models"
	"propensity/models/registry"
)

// Challenger is the alias of the version that may become champion.
const Challenger = "challenger"

// changeRoutes are of what changes while the server runs.
func (s *Server) changeRoutes(e *gin.Engine) {
	read, admin := s.allow(scopeRead), s.allow(scopeAdmin)
	e.GET("/v1/models/:name/aliases", read, s.listAliases)
	e.GET("/v1/models/:name/aliases/:alias", read, s.getAlias)
	e.PUT("/v1/models/:name/aliases/:alias", admin, s.putAlias)
	e.DELETE("/v1/models/:name/aliases/:alias", admin, s.deleteAlias)
	e.POST("/v1/models/:name/aliases/:alias/rollback", admin, s.idempotent(s.cfg.MaxBody), s.rollbackAlias)
	e.GET("/v1/models/:name/log", read, s.getLog)
	e.GET("/v1/models/:name/canary", read, s.getCanary)
	e.PUT("/v1/models/:name/canary", admin, s.putCanary)
	e.DELETE("/v1/models/:name/canary", admin, s.deleteCanary)
	e.GET("/v1/models/:name/shadow", read, s.getShadow)
	e.GET("/v1/models/:name/versions", read, s.listVersions)
	e.PUT("/v1/models/:name/versions", admin, s.putVersion)
	e.DELETE("/v1/models/:name/versions/:version", admin, s.deleteVersion)
	e.GET("/v1/models/:name/versions/:version/files", read, s.getFiles)
}

// aliasAnswer is an alias: the version that it points at, and the one that answers for
// it in this server, which is another one if that cannot be served.
type aliasAnswer struct {
	Model   string `json:"model"`
	Alias   string `json:"alias"`
	Version int    `json:"version"`
	// Previous is the version it had before this request moved it; 0 none.
	Previous *int   `json:"previous,omitempty"`
	Serving  int    `json:"serving,omitempty"` // none: nothing answers
	Cause    string `json:"cause,omitempty"`   // why it is not Version
}

type aliasesAnswer struct {
	Model   string        `json:"model"`
	Aliases []aliasAnswer `json:"aliases"`
}

// modelName is the model of a path that takes no version or alias after it.
func modelName(c *gin.Context) (string, error) {
	name := c.Param("name")
	ref, err := registry.ParseRef(name)
	if err != nil {
		return "", err
	}
	if ref.Name != name {
		return "", refuse(http.StatusBadRequest, fmt.Sprintf("%q: name the model alone here, as %s", clip(name), ref.Name))
	}
	return name, nil
}

// modelAlias is the model and the alias of a path.
func modelAlias(c *gin.Context) (name, alias string, err error) {
	if name, err = modelName(c); err != nil {
		return "", "", err
	}
	alias = c.Param("alias")
	if ref, err := registry.ParseRef(name + "@" + alias); err != nil {
		return "", "", err
	} else if ref.Alias != alias {
		return "", "", refuse(http.StatusBadRequest, fmt.Sprintf("%q is no alias: a version cannot be moved", clip(alias)))
	}
	return name, alias, nil
}

// changeBy is who asks for a change, for the log of the registry.
func changeBy(c *gin.Context, note string) registry.Event {
	actor := "api"
	if id := caller(c); id != "" {
		actor = "key " + id
	}
	return registry.Event{Actor: actor, Note: note}
}

// maxNote bounds what may be said of a change, in bytes.
const maxNote = 1000

// readChange reads the body of a change.
func (s *Server) readChange(c *gin.Context, v any, note *string) error {
	if err := s.readObject(c, v); err != nil {
		return err
	}
	if len(*note) > maxNote {
		return wrong("note", "note has "+strconv.Itoa(len(*note))+" bytes, at most "+strconv.Itoa(maxNote))
	}
	return nil
}

// wrong is a field of the body that cannot be as it is.
func wrong(field, detail string) error {
	return refuse(http.StatusUnprocessableEntity, detail, fault{detail, "/" + field})
}

// unmoved is the problem of a change that the registry refused because of the version:
// all is as it was.
func unmoved(version int, err error) error {
	if errors.Is(err, models.ErrDamaged) || errors.Is(err, models.ErrReplay) || errors.Is(err, models.ErrFormat) || errors.Is(err, registry.ErrDamaged) {
		return refuse(http.StatusConflict, fmt.Sprintf("version %d cannot be served: %s; nothing has changed", version, causeOf(err)))
	}
	return err
}

// aliasOf is what an alias is here, given where it points by the registry.
func (s *Server) aliasOf(name, alias string, version int) aliasAnswer {
	out := aliasAnswer{Model: name, Alias: alias, Version: version}
	m := s.state.Load().models[name]
	if m == nil {
		out.Cause = "the model is not loaded"
		return out
	}
	p := m.aliases[alias]
	if p.version != nil {
		out.Serving = p.version.number
	}
	switch {
	case m.cause != "":
		out.Cause = m.cause
	case p.want != version:
		out.Cause = "it is on its way"
	default:
		out.Cause = p.cause
	}
	return out
}

func (s *Server) listAliases(c *gin.Context) {
	name, err := modelName(c)
	var aliases map[string]int
	if err == nil {
		aliases, err = s.aliases(name)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	out := aliasesAnswer{Model: name, Aliases: []aliasAnswer{}}
	for _, alias := range slices.Sorted(maps.Keys(aliases)) {
		out.Aliases = append(out.Aliases, s.aliasOf(name, alias, aliases[alias]))
	}
	s.readJSON(c, out)
}

// aliases are those of the registry.
func (s *Server) aliases(name string) (map[string]int, error) {
	aliases, err := s.cfg.Registry.Aliases(name)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, errNoModel(name)
	}
	if err != nil {
		return nil, fmt.Errorf("aliases of model %s: %w", name, err)
	}
	return aliases, nil
}

func errNoModel(name string) error {
	return refuse(http.StatusNotFound, fmt.Sprintf("there is no model %q", clip(name)))
}

// alias is where an alias points by the registry.
func (s *Server) alias(name, alias string) (int, error) {
	aliases, err := s.aliases(name)
	if err != nil {
		return 0, err
	}
	if aliases[alias] == 0 {
		return 0, refuse(http.StatusNotFound, fmt.Sprintf("model %q has no alias %q; it has: %s", name, clip(alias), list(aliases)))
	}
	return aliases[alias], nil
}

func (s *Server) getAlias(c *gin.Context) {
	name, alias, err := modelAlias(c)
	version := 0
	if err == nil {
		version, err = s.alias(name, alias)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.readJSON(c, s.aliasOf(name, alias, version))
}

// moveTries is how often a move without a condition is tried again when another one came
// between.
const moveTries = 10

// putAlias points an alias at a version, and answers when that version serves.
func (s *Server) putAlias(c *gin.Context) {
	var q struct {
		Version *int   `json:"version"`
		From    *int   `json:"from"`
		Note    string `json:"note"`
	}
	name, alias, err := modelAlias(c)
	if err == nil {
		err = s.readChange(c, &q, &q.Note)
	}
	if err == nil && (q.Version == nil || *q.Version < 1) {
		err = wrong("version", "version is needed: a whole number from 1")
	}
	if err == nil && q.From != nil && *q.From < 0 {
		err = wrong("from", "from is a version, or 0 for an alias that is not there")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	previous := 0
	for try := 0; ; try++ {
		var aliases map[string]int
		if aliases, err = s.aliases(name); err != nil {
			break
		}
		previous = aliases[alias]
		if err = s.precondition(c.Request.Header, q.From, name, alias, previous); err != nil {
			break
		}
		err = s.cfg.Registry.PromoteFrom(c.Request.Context(), name, previous, *q.Version, alias, changeBy(c, q.Note))
		if !errors.Is(err, registry.ErrMoved) || try == moveTries {
			break
		}
	}
	if errors.Is(err, registry.ErrNotFound) {
		err = errNoVersion(name, *q.Version)
	}
	if err != nil {
		s.fail(c, unmoved(*q.Version, err))
		return
	}
	s.moved(c, name, alias, previous, *q.Version)
}

// precondition holds a move to where the caller says the alias is: by the field from, by
// the ETag of an earlier GET in If-Match, or, with If-None-Match: *, nowhere.
func (s *Server) precondition(h http.Header, from *int, name, alias string, at int) error {
	failed := func() error {
		return fmt.Errorf("alias %q of model %q is at version %d: %w", alias, name, at, registry.ErrMoved)
	}
	if from != nil && *from != at {
		return failed()
	}
	if tags := h.Values("If-None-Match"); len(tags) > 0 && (at != 0 && strings.Join(tags, ",") == "*") {
		return failed()
	}
	tags := strings.Join(h.Values("If-Match"), ",")
	if tags == "" {
		return nil
	}
	if at == 0 {
		return failed()
	}
	body, err := marshal(s.aliasOf(name, alias, at))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	if !matches(tags, `"`+hex.EncodeToString(sum[:16])+`"`) {
		return failed()
	}
	return nil
}

// moved brings this server up to an alias that was moved, and answers by what serves
// then: the client is told of success only when the new version answers.
func (s *Server) moved(c *gin.Context, name, alias string, previous, version int) {
	s.audit(c, "alias.move", fmt.Sprintf("%s@%s from %d to %d", name, alias, previous, version))
	m := s.refreshOne(name, false)
	out := s.aliasOf(name, alias, version)
	switch {
	case out.Serving == version:
		out.Previous = &previous
		writeJSON(c, http.StatusOK, "application/json", out)
	case m.cause == "" && m.aliases[alias].want != version:
		s.fail(c, refuse(http.StatusConflict, fmt.Sprintf("alias %q was moved to version %d, and on to another meanwhile", alias, version)))
	default:
		detail := fmt.Sprintf("alias %q points at version %d in the registry, but this server does not answer by it: %s", alias, version, out.Cause)
		if out.Serving != 0 {
			detail += fmt.Sprintf("; version %d still answers", out.Serving)
		}
		s.fail(c, refuse(http.StatusServiceUnavailable, detail))
	}
}

// rollbackAlias points an alias back at the version that had it before.
func (s *Server) rollbackAlias(c *gin.Context) {
	var q struct {
		Note string `json:"note"`
	}
	name, alias, err := modelAlias(c)
	if err == nil && c.Request.ContentLength != 0 { // it may have no body
		err = s.readChange(c, &q, &q.Note)
	}
	at := 0
	if err == nil {
		at, err = s.alias(name, alias)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	previous, version, err := s.cfg.Registry.Rollback(c.Request.Context(), name, alias, changeBy(c, q.Note))
	if errors.Is(err, registry.ErrNotFound) {
		err = refuse(http.StatusConflict, fmt.Sprintf("alias %q of model %q is at version %d, and no version that had it before is still there: point it at one", alias, name, at))
	}
	if err != nil {
		s.fail(c, unmoved(version, err))
		return
	}
	s.moved(c, name, alias, previous, version)
}

// deleteAlias takes an alias away. That of the champion stays: it is what answers.
func (s *Server) deleteAlias(c *gin.Context) {
	name, alias, err := modelAlias(c)
	if err == nil {
		_, err = s.alias(name, alias)
	}
	if err == nil && alias == registry.Champion {
		err = refuse(http.StatusConflict, "the champion answers for the model: point the alias at another version instead")
	}
	version := 0
	if err == nil {
		version, err = s.cfg.Registry.Unalias(c.Request.Context(), name, alias, changeBy(c, ""))
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.audit(c, "alias.delete", fmt.Sprintf("%s@%s, which had version %d", name, alias, version))
	s.refreshOne(name, false)
	c.Status(http.StatusNoContent)
}

// logAnswer is who published, moved or deleted what, newest first.
type logAnswer struct {
	Model   string     `json:"model"`
	Entries []logEntry `json:"entries"`
}

// logEntry is an entry of the registry's log but for its facts, which may name machines
// and paths.
type logEntry struct {
	Time      time.Time `json:"time"`
	Action    string    `json:"action"`
	Version   int       `json:"version"`
	Alias     string    `json:"alias,omitempty"`
	Previous  int       `json:"previous,omitempty"`
	Share     float64   `json:"share,omitempty"`
	Hash      string    `json:"hash,omitempty"`
	Actor     string    `json:"actor,omitempty"`
	Note      string    `json:"note,omitempty"`
	Recovered bool      `json:"recovered,omitempty"`
}

const (
	defaultEntries = 100
	maxEntries     = 10_000
)

func (s *Server) getLog(c *gin.Context) {
	name, err := modelName(c)
	most := defaultEntries
	if text, given := c.GetQuery("limit"); given && err == nil {
		if most, err = strconv.Atoi(text); err != nil || most < 1 || most > maxEntries {
			err = refuse(http.StatusBadRequest, fmt.Sprintf("limit %q is no whole number from 1 to %d", clip(text), maxEntries))
		}
	}
	var entries []registry.Entry
	if err == nil {
		if entries, err = s.cfg.Registry.Log(name); errors.Is(err, registry.ErrNotFound) {
			err = errNoModel(name)
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	out := logAnswer{Model: name, Entries: []logEntry{}}
	for _, e := range slices.Backward(entries[max(0, len(entries)-most):]) {
		out.Entries = append(out.Entries, logEntry{e.Time, e.Action, e.Version, e.Alias, e.Previous, e.Share, e.Hash, e.Actor, e.Note, e.Recovered})
	}
	s.readJSON(c, out)
}
