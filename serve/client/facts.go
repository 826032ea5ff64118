package client

import (
	"context"
	"net/http"
	"net/url"
)

// Fact is one dated fact of an account, or of one of its users.
type Fact struct {
	Source     string `json:"source"`
	Account    string `json:"account,omitempty"`
	User       string `json:"user,omitempty"`
	ID         string `json:"id"`
	OccurredAt string `json:"occurred_at,omitempty"` // RFC 3339
	ArrivedAt  string `json:"arrived_at,omitempty"`  // default: now
	EndedAt    string `json:"ended_at,omitempty"`
	Properties Row    `json:"properties,omitempty"`
}

// Accepted is how many facts were kept, and what was strange about them.
type Accepted struct {
	Accepted int       `json:"accepted"`
	Warnings []Warning `json:"warnings"`
}

// AddFacts adds facts, all or none; they are kept when it returns.
func (c *Client) AddFacts(ctx context.Context, facts []Fact) (Accepted, error) {
	var out Accepted
	if facts == nil {
		facts = []Fact{}
	}
	err := c.ask(ctx, call{method: http.MethodPost, path: []string{"v1", "events"}, once: true}, facts, &out)
	return out, err
}

// Attributes are what an account is, since OccurredAt.
type Attributes struct {
	Source     string `json:"source,omitempty"`
	OccurredAt string `json:"occurred_at,omitempty"` // RFC 3339; default: now
	ArrivedAt  string `json:"arrived_at,omitempty"`
	Properties Row    `json:"properties"`
}

// PutAccount adds attributes of an account.
func (c *Client) PutAccount(ctx context.Context, account string, a Attributes) (Accepted, error) {
	var out Accepted
	err := c.ask(ctx, call{method: http.MethodPut, path: []string{"v1", "accounts", account}, once: true}, a, &out)
	return out, err
}

// AccountFacts is what is known of an account, the newest facts first, and the row that
// each champion sees.
type AccountFacts struct {
	Account string       `json:"account"`
	AsOf    string       `json:"as_of"`
	Known   int          `json:"known"`
	Facts   []Fact       `json:"facts"`
	Rows    []AccountRow `json:"rows"`
}

// AccountRow is the row that a model sees, or why there is none.
type AccountRow struct {
	Model   string `json:"model"`
	Version int    `json:"version"`
	Row     Row    `json:"row"`
	Cause   string `json:"cause"`
}

// Account tells what is known of an account at a moment, in RFC 3339; "" is now.
func (c *Client) Account(ctx context.Context, account, asOf string) (AccountFacts, error) {
	query := url.Values{}
	if asOf != "" {
		query.Set("as_of", asOf)
	}
	var out AccountFacts
	err := c.ask(ctx, call{method: http.MethodGet, path: []string{"v1", "accounts", account}, query: query}, nil, &out)
	return out, err
}

// Outcome is what then happened to an account. AsOf is the moment whose score it settles;
// it or OccurredAt is needed.
type Outcome struct {
	ID         string   `json:"id,omitempty"`
	Model      string   `json:"model"`
	Account    string   `json:"account"`
	AsOf       string   `json:"as_of,omitempty"`
	OccurredAt string   `json:"occurred_at,omitempty"`
	Positive   bool     `json:"positive"`
	Value      *float64 `json:"value,omitempty"` // money that was at stake
}

// KeptOutcomes is how many outcomes were committed, and how many of them said something
// new.
type KeptOutcomes struct {
	Accepted int `json:"accepted"`
	Added    int `json:"added"`
}

// AddOutcomes reports outcomes, all or none; they are committed when it returns.
func (c *Client) AddOutcomes(ctx context.Context, outcomes []Outcome) (KeptOutcomes, error) {
	var out KeptOutcomes
	if outcomes == nil {
		outcomes = []Outcome{}
	}
	err := c.ask(ctx, call{method: http.MethodPost, path: []string{"v1", "outcomes"}, once: true}, outcomes, &out)
	return out, err
}
