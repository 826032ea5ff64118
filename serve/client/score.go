package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Row is a value for each column of a model: a number, text, bool, or nil for missing; a
// time is text in RFC 3339.
type Row map[string]any

// Request is what one account is scored by: a row, its id, or both.
type Request struct {
	Account string `json:"account,omitempty"`
	Row     Row    `json:"row,omitempty"`
	Asked
}

// Asked are the options of a request.
type Asked struct {
	AsOf         string   `json:"as_of,omitempty"`   // RFC 3339; default: now
	Reasons      *int     `json:"reasons,omitempty"` // default 3
	AllowMissing bool     `json:"allow_missing,omitempty"`
	Threshold    *float64 `json:"threshold,omitempty"` // 0 to 1
	Fields       []string `json:"fields,omitempty"`    // of the answer; default: all
	DryRun       bool     `json:"dry_run,omitempty"`
}

// Answer is a score. Fields that were not asked for are zero.
type Answer struct {
	Account        string    `json:"account"`
	Model          string    `json:"model"`
	Version        int       `json:"version"`
	AsOf           string    `json:"as_of"`
	Probability    float64   `json:"probability"` // 0 to 1
	Score          int       `json:"score"`       // 0 to 100
	Percentile     float64   `json:"percentile"`  // 0 to 100
	Band           string    `json:"band"`
	MeetsThreshold *bool     `json:"meets_threshold"` // nil: there was no threshold
	BaseRate       float64   `json:"base_rate"`
	Reference      float64   `json:"reference"`
	Coverage       float64   `json:"coverage"`
	Reasons        []Reason  `json:"reasons"`
	Warnings       []Warning `json:"warnings"`
}

// Reason is what a column did to the probability, in percentage points.
type Reason struct {
	Feature string  `json:"feature"`
	Value   any     `json:"value"`
	Typical any     `json:"typical"`
	Points  float64 `json:"points"`
	Text    string  `json:"text"`
}

// Warning is a field that was no ordinary value.
type Warning struct {
	Field  string `json:"field"`
	State  string `json:"state"`
	Detail string `json:"detail"`
}

// Score scores one account by a model: churn, churn@7, churn@challenger.
func (c *Client) Score(ctx context.Context, model string, q Request) (Answer, error) {
	var a Answer
	err := c.ask(ctx, call{method: http.MethodPost, path: []string{"v1", "models", model, "score"}}, q, &a)
	return a, err
}

// BatchAnswer is an answer of a batch, or why there is none.
type BatchAnswer struct {
	Answer
	Error *Problem `json:"error"`
}

// ScoreBatch scores many accounts by one version; the answers come in the order of the
// requests. An error is of the batch as a whole. It is sent again only if nothing of it
// was answered.
func (c *Client) ScoreBatch(ctx context.Context, model string, requests []Request) ([]BatchAnswer, error) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	for i := range requests {
		if err := e.Encode(&requests[i]); err != nil {
			return nil, err
		}
	}
	resp, err := c.do(ctx, &call{method: http.MethodPost, path: []string{"v1", "models", model, "score:batch"}, contentType: "application/x-ndjson", body: body.Bytes()})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out := make([]BatchAnswer, 0, len(requests))
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err != nil {
			return out, fmt.Errorf("answer %d: %w", len(out)+1, err)
		}
		var a BatchAnswer
		if err := json.Unmarshal(line, &a); err != nil {
			return out, fmt.Errorf("answer %d: %w", len(out)+1, err)
		}
		if a.Error != nil && a.Error.Line == 0 { // of the batch, after its last answer
			return out, a.Error
		}
		out = append(out, a)
	}
	if len(out) != len(requests) {
		return out, fmt.Errorf("%d answers to %d requests", len(out), len(requests))
	}
	return out, nil
}

// AllRequest is one account for many models: a row for all of them or a row of each, its
// id, or both.
type AllRequest struct {
	Account string         `json:"account,omitempty"`
	Row     Row            `json:"row,omitempty"`
	Rows    map[string]Row `json:"rows,omitempty"`
	Models  []string       `json:"models,omitempty"` // default: each that has a champion
	Asked
}

// AllAnswer is what each model says.
type AllAnswer struct {
	Account  string          `json:"account"`
	AsOf     string          `json:"as_of"`
	Answers  []ModelAnswer   `json:"answers"`
	Warnings []Contradiction `json:"warnings"`
}

// ModelAnswer is what one model says, or why it says nothing.
type ModelAnswer struct {
	Answer
	AtStake *Stake   `json:"at_stake"` // nil: the model names no money
	Error   *Problem `json:"error"`
}

// Stake is the money that the outcome is about; what is not known is nil, and Cause says
// why.
type Stake struct {
	Column   string   `json:"column"`
	Value    *float64 `json:"value"` // a month
	Months   float64  `json:"months"`
	Expected *float64 `json:"expected"` // probability x Value x Months
	Cause    string   `json:"cause"`
}

// Contradiction is two models that cannot both be right (impossible), or whose advice is
// opposite (contradictory).
type Contradiction struct {
	Models []string `json:"models"`
	State  string   `json:"state"`
	Detail string   `json:"detail"`
}

// ScoreAll scores one account by every model.
func (c *Client) ScoreAll(ctx context.Context, q AllRequest) (AllAnswer, error) {
	var a AllAnswer
	err := c.ask(ctx, call{method: http.MethodPost, path: []string{"v1", "score"}}, q, &a)
	return a, err
}
