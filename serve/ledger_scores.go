package serve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/serve/database"
	"propensity/serve/ledger"
)

func (s *Server) ledgerRoutes(e *gin.Engine) {
	e.POST("/v1/outcomes", s.allow(scopeWrite), s.needLedger, s.idempotent(s.cfg.MaxEventsBody), s.addOutcomes)
	e.GET("/v1/accounts/:id/scores", s.allow(scopeRead), s.needLedger, s.getScores)
	e.DELETE("/v1/accounts/:id", s.allow(scopeAdmin), s.forgetAccount)
}

// accountScores is the answer of GET /v1/accounts/{id}/scores.
type accountScores struct {
	Account string      `json:"account"`
	Scores  []KeptScore `json:"scores"`
	Next    int64       `json:"next,omitempty"` // ask with before=next for older ones
}

// KeptScore is a score of the ledger as it is shown.
type KeptScore struct {
	Number      int64                     `json:"number"`
	At          string                    `json:"at"`
	Model       string                    `json:"model"`
	Version     int                       `json:"version"`
	AsOf        string                    `json:"as_of"`
	Origin      string                    `json:"origin"`
	Key         string                    `json:"key,omitempty"`
	Request     string                    `json:"request,omitempty"`
	Probability float64                   `json:"probability"`
	Score       int                       `json:"score"`
	Percentile  float64                   `json:"percentile"`
	Band        string                    `json:"band"`
	Reasons     []KeptReason              `json:"reasons"`
	Row         map[string]datasets.Value `json:"row,omitempty"` // none if rows are not kept
	Settled     KeptOutcome               `json:"settled"`
}

// KeptReason is a reason without its words, which the version knows.
type KeptReason struct {
	Feature string         `json:"feature"`
	Value   datasets.Value `json:"value"`
	Points  float64        `json:"points"`
}

// KeptOutcome is what became of a score.
type KeptOutcome struct {
	Positive   *bool    `json:"positive"` // null: it is not known
	Mature     bool     `json:"mature"`   // its horizon is over
	Outcome    string   `json:"outcome,omitempty"`
	OccurredAt string   `json:"occurred_at,omitempty"`
	Value      *float64 `json:"value,omitempty"`
}

// ShowScore spells a score.
func ShowScore(k *ledger.Kept) KeptScore {
	out := KeptScore{
		Number: k.Number, At: datasets.FormatTime(k.At), Model: k.Model, Version: k.Version, AsOf: datasets.FormatTime(k.AsOf),
		Origin: k.Origin, Key: k.Key, Request: k.Request, Probability: k.Probability, Score: k.Score.Score, Percentile: k.Percentile, Band: k.Band,
		Reasons: []KeptReason{}, Settled: KeptOutcome{Mature: k.Mature, Outcome: k.Outcome},
	}
	for i := range k.Reasons {
		r := &k.Reasons[i]
		out.Reasons = append(out.Reasons, KeptReason{r.Feature, r.Value, r.Points})
	}
	if k.Row != nil {
		out.Row = make(map[string]datasets.Value, len(k.Row))
		for j, v := range k.Row {
			out.Row[k.Columns[j]] = v
		}
	}
	if k.Label == k.Label {
		positive := k.Label != 0
		out.Settled.Positive = &positive
	}
	if k.Occurred != datasets.MissingTime {
		out.Settled.OccurredAt = datasets.FormatTime(k.Occurred)
	}
	if v := k.Settled.Value; v == v {
		out.Settled.Value = &v
	}
	return out
}

const (
	defaultScores = 100
	maxScores     = 1000
)

// getScores tells the scores that were given of an account, the newest first, and what
// became of each.
func (s *Server) getScores(c *gin.Context) {
	q := ledger.Query{Model: c.Query("model"), Limit: defaultScores}
	if text, given := c.GetQuery("limit"); given {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxScores {
			s.fail(c, refuse(http.StatusBadRequest, fmt.Sprintf("limit %q is no whole number, 1 to %d", clip(text), maxScores)))
			return
		}
		q.Limit = n
	}
	if text, given := c.GetQuery("before"); given {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			s.fail(c, refuse(http.StatusBadRequest, fmt.Sprintf("before %q is no number of a score: take next of the last answer", clip(text))))
			return
		}
		q.Before = n
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), storeTimeout)
	defer cancel()
	list, err := s.ledger.Scores(ctx, c.Param("id"), q)
	if err != nil {
		s.fail(c, err)
		return
	}
	out := accountScores{Account: c.Param("id"), Scores: []KeptScore{}}
	for i := range list {
		out.Scores = append(out.Scores, ShowScore(&list[i]))
	}
	if len(list) == q.Limit {
		out.Next = list[len(list)-1].Number
	}
	s.readJSON(c, out)
}

// forgotten is the answer to an account that was forgotten.
type forgotten struct {
	ledger.Forgotten
	Facts int64 `json:"facts"` // versions of them
}

const forgetTimeout = time.Minute

// forgetAccount deletes what the server keeps of an account: facts, scores, outcomes.
func (s *Server) forgetAccount(c *gin.Context) {
	if s.ledger == nil && s.accounts == nil {
		s.fail(c, errNoLedger())
		return
	}
	account := c.Param("id")
	s.audit(c, actForget, forgottenDetail(account))
	ctx, cancel := context.WithTimeout(c.Request.Context(), forgetTimeout)
	defer cancel()
	var out forgotten
	var err error
	if s.accounts != nil {
		if out.Facts, err = s.accounts.Forget(ctx, s.schema().union(), account); err != nil {
			s.fail(c, storeError(err))
			return
		}
	}
	if s.ledger != nil {
		if out.Forgotten, err = s.ledger.Forget(ctx, account); err != nil {
			s.fail(c, err)
			return
		}
	}
	if s.notifier != nil { // after the changes that webhooks are told of
		if _, err := s.notifier.Forget(ctx, account); err != nil {
			s.fail(c, err)
			return
		}
	}
	writeJSON(c, http.StatusOK, "application/json", out)
}

const actForget = "account.forget"

func forgottenDetail(account string) string { return "account with SHA-256 " + HashOf(account) }

// AuditForget adds to the audit log of a database that an account was forgotten by a
// program that is no server.
func AuditForget(ctx context.Context, db *database.DB, account string) error {
	l := auditLog{db: db}
	return l.add(ctx, time.Now().UnixMicro(), &record{Act: actForget, Detail: forgottenDetail(account), Result: "done"})
}

// HashOf stands for an account where its id must not stand: the SHA-256 of it, in hex.
func HashOf(account string) string {
	sum := sha256.Sum256([]byte(account))
	return hex.EncodeToString(sum[:])
}
