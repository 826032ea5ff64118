package serve

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"propensity/datasets"
	"propensity/models/registry"
)

// canaryName stands where the name of an alias does; no alias can be called so.
const canaryName = "the canary"

// canary is a version that answers for a share of the accounts in the place of the
// champion.
type canary struct {
	version *version
	bound   uint64 // the accounts whose place is below it; MaxUint64: all
	// answered and unfit count what was the canary's to answer: what it did, and what it
	// could not, so that the champion did.
	answered, unfit prometheus.Counter
}

// frontOf is the champion with the canary before it; nil if there is none that may answer.
func (s *Server) frontOf(m *model, trial registry.Canary) *version {
	champion, v := m.aliases[registry.Champion].version, m.canary.version
	if trial.Version == 0 || champion == nil || champion.number != trial.Champion || v == nil || v.number != trial.Version {
		return nil
	}
	front := *champion
	front.canary = &canary{
		version: v, bound: boundOf(trial.Share),
		answered: s.metrics.canary.WithLabelValues(v.name, "answered"), unfit: s.metrics.canary.WithLabelValues(v.name, "unfit"),
	}
	return &front
}

// boundOf is where a share of all places ends.
func boundOf(share float64) uint64 {
	if share >= 1 {
		return math.MaxUint64
	}
	return uint64(share * (1 << 64))
}

// placeOf is the place of an account among those of a model, spread evenly from 0 up to
// 2^64: the first 8 bytes of SHA-256 of the model's name, a zero byte and the account. It
// is the same on every server and at all times, so an account stays on its side, and a
// share that grows takes in others and lets none go. The name is in it so that the
// canaries of two models are not tried on the same accounts.
func placeOf(model, account string) uint64 {
	var room [128]byte
	text := append(append(append(room[:0], model...), 0), account...)
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint64(sum[:8])
}

// takes says that an account is the canary's. A request without one never is.
func (k *canary) takes(account string) bool {
	if account == "" {
		return false
	}
	return k.bound == math.MaxUint64 || placeOf(k.version.name, account) < k.bound
}

// answerFront answers w.request, decoded for the champion v, by the canary if its account
// is one of the canary's. A request that the canary cannot answer, for want of a column say,
// is the champion's after all: a trial costs no caller an answer.
func (s *Server) answerFront(c *gin.Context, w *work, v *version, prefix string) error {
	q, k := &w.request, v.canary
	if !k.takes(q.account) {
		return s.answerBy(c, w, v, prefix)
	}
	var was request
	was.keep(q)
	if fits, _ := s.refit(q, v, k.version, prefix); fits {
		q.unknown = slices.DeleteFunc(q.unknown, func(name string) bool { // whom the champion's caller knows
			return v.scorer.Encoder().Find(name) < 0 && !slices.Contains(was.unknown, name)
		})
		err := s.answerBy(c, w, k.version, prefix)
		if err == nil {
			k.answered.Inc()
		}
		if err == nil || problemOf(err).Status != http.StatusUnprocessableEntity {
			return err
		}
	}
	q.keep(&was)
	if err := s.answerBy(c, w, v, prefix); err != nil {
		return err // nor can the champion
	}
	k.unfit.Inc()
	return nil
}

// keep copies what decoding has made of a request.
func (q *request) keep(from *request) {
	seen := q.seen
	*q = *from
	q.seen = seen
	q.row, q.present = slices.Clone(from.row), slices.Clone(from.present)
	q.unknown, q.faults = slices.Clone(from.unknown), slices.Clone(from.faults)
}

// refit decodes a request anew for another version than it was decoded for. One that came
// in no text of ours has its cells put where the other version has columns of the same
// name and kind, which must be all it has.
func (s *Server) refit(q *request, from, to *version, prefix string) (fits bool, err error) {
	if q.text != nil {
		err := q.decode(q.text, to.scorer.Encoder(), q.moment, s.cfg.MaxFields, prefix)
		return err == nil, err
	}
	have, want := from.scorer.Encoder().Columns, to.scorer.Encoder().Columns
	row, present := make([]datasets.Value, len(want)), make([]bool, len(want))
	for j := range want {
		k := from.scorer.Encoder().Find(want[j].Name)
		if k < 0 || have[k].Kind != want[j].Kind {
			return false, errOtherColumns
		}
		row[j], present[j] = q.row[k], q.present[k]
	}
	for k := range have {
		if q.present[k] && to.scorer.Encoder().Find(have[k].Name) < 0 {
			q.unknown = append(q.unknown, have[k].Name)
		}
	}
	q.row, q.present = row, present
	return true, nil
}

var errOtherColumns = errors.New("it has other columns than the request was read for")

// canaryAnswer is what there is to know of a model's canary.
type canaryAnswer struct {
	Model    string  `json:"model"`
	Version  int     `json:"version"`
	Share    float64 `json:"share"`
	Champion int     `json:"champion"` // the version that it is tried against
	// Serving says that this server answers by it; if not, Cause says why.
	Serving bool   `json:"serving"`
	Cause   string `json:"cause,omitempty"`
}

func (s *Server) canaryOf(name string, k registry.Canary) canaryAnswer {
	out := canaryAnswer{Model: name, Version: k.Version, Share: k.Share, Champion: k.Champion}
	m := s.state.Load().models[name]
	switch {
	case m == nil:
		out.Cause = "the model is not loaded"
	case m.front != nil && m.front.number == k.Champion && m.front.canary.version.number == k.Version && m.share == k.Share:
		out.Serving = true
	case m.canary.want == k.Version && m.canary.cause != "":
		out.Cause = m.canary.cause
	default:
		out.Cause = "it is on its way"
	}
	return out
}

func errNoCanary(name string) error {
	return refuse(http.StatusNotFound, "model "+name+" has no canary: its champion answers for all accounts")
}

func (s *Server) getCanary(c *gin.Context) {
	name, err := modelName(c)
	if err == nil {
		_, err = s.aliases(name)
	}
	var k registry.Canary
	if err == nil {
		k, err = s.cfg.Registry.Canary(name)
	}
	if err == nil && k.Version == 0 {
		err = errNoCanary(name)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.readJSON(c, s.canaryOf(name, k))
}

// putCanary begins a canary or changes its share, and answers when it serves.
func (s *Server) putCanary(c *gin.Context) {
	var q struct {
		Version *int     `json:"version"`
		Share   *float64 `json:"share"`
		Note    string   `json:"note"`
	}
	name, err := modelName(c)
	if err == nil {
		err = s.readChange(c, &q, &q.Note)
	}
	if err == nil && (q.Share == nil || *q.Share <= 0 || *q.Share > 1) {
		err = wrong("share", "share is needed: above 0 and at most 1, of the accounts; DELETE ends a canary")
	}
	number := 0
	if err == nil {
		number, err = s.trialOf(name, q.Version)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	k, err := s.cfg.Registry.SetCanary(c.Request.Context(), name, number, *q.Share, changeBy(c, q.Note))
	if errors.Is(err, registry.ErrNotFound) {
		err = errNoVersion(name, number)
	}
	if err != nil {
		s.fail(c, unmoved(number, err))
		return
	}
	s.audit(c, "canary.set", fmt.Sprintf("%s@%d against %d for a share of %v", name, k.Version, k.Champion, k.Share))
	s.refreshOne(name, false)
	out := s.canaryOf(name, k)
	if !out.Serving {
		s.fail(c, refuse(http.StatusServiceUnavailable, "the canary is set in the registry, but this server does not answer by it: "+out.Cause))
		return
	}
	writeJSON(c, http.StatusOK, "application/json", out)
}

// trialOf is the version to try: the one that is named or, if none is, the one that the
// alias challenger points at.
func (s *Server) trialOf(name string, version *int) (int, error) {
	aliases, err := s.aliases(name)
	switch {
	case err != nil:
		return 0, err
	case version == nil && aliases[Challenger] == 0:
		return 0, wrong("version", "version is missing, and model "+name+" has no alias "+Challenger)
	case version == nil:
		return aliases[Challenger], nil
	case *version < 1:
		return 0, wrong("version", "version must be a whole number from 1")
	}
	return *version, nil
}

func (s *Server) deleteCanary(c *gin.Context) {
	name, err := modelName(c)
	if err == nil {
		_, err = s.aliases(name)
	}
	if err == nil {
		if err = s.cfg.Registry.EndCanary(c.Request.Context(), name, changeBy(c, "")); errors.Is(err, registry.ErrNotFound) {
			err = errNoCanary(name)
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.audit(c, "canary.end", name)
	s.refreshOne(name, false)
	c.Status(http.StatusNoContent)
}
