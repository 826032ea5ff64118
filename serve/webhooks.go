package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/serve/notify"
)

func (s *Server) webhookRoutes(e *gin.Engine) {
	admin := s.allow(scopeAdmin)
	e.GET("/v1/webhooks", admin, s.needNotifier, s.listWebhooks)
	e.POST("/v1/webhooks", admin, s.needNotifier, s.createWebhook)
	e.GET("/v1/webhooks/:id", admin, s.needNotifier, s.getWebhook)
	e.PATCH("/v1/webhooks/:id", admin, s.needNotifier, s.changeWebhook)
	e.DELETE("/v1/webhooks/:id", admin, s.needNotifier, s.deleteWebhook)
	e.POST("/v1/webhooks/:id/rotate", admin, s.needNotifier, s.rotateWebhook)
	e.POST("/v1/webhooks/:id/test", admin, s.needNotifier, s.testWebhook)
	e.GET("/v1/webhooks/:id/deliveries", admin, s.needNotifier, s.listDeliveries)
	e.GET("/v1/webhooks/:id/deliveries/:event", admin, s.needNotifier, s.getDelivery)
	e.POST("/v1/webhooks/:id/replay", admin, s.needNotifier, s.replayWebhook)
}

// needNotifier is before the endpoints of webhooks.
func (s *Server) needNotifier(c *gin.Context) {
	if s.notifier == nil {
		s.fail(c, errNoLedger())
	}
}

// webhookAnswer is a webhook as it is shown. It has its secret once, when that is made.
type webhookAnswer struct {
	ID          string   `json:"id"`
	Secret      string   `json:"secret,omitempty"`
	URL         string   `json:"url"`
	Description string   `json:"description"`
	Types       []string `json:"types"`
	Models      []string `json:"models"`
	Enabled     bool     `json:"enabled"`
	Cause       string   `json:"cause,omitempty"` // why it is not enabled
	Created     string   `json:"created"`
	// PreviousUntil is when the secret before this one stops to sign.
	PreviousUntil string `json:"previous_secret_until,omitempty"`
	// PausedUntil is until when nothing is sent, as the receiver had too much to do.
	PausedUntil string `json:"paused_until,omitempty"`
}

func (s *Server) webhookOf(e *notify.Endpoint, secret string) webhookAnswer {
	a := webhookAnswer{
		ID: e.ID, Secret: secret, URL: e.URL, Description: e.Description, Types: append([]string{}, e.Types...), Models: append([]string{}, e.Models...),
		Enabled: e.Enabled, Cause: e.Cause, Created: datasets.FormatTime(e.Created),
	}
	now := s.clock()
	if e.OldUntil > now {
		a.PreviousUntil = datasets.FormatTime(e.OldUntil)
	}
	if e.SlowUntil > now {
		a.PausedUntil = datasets.FormatTime(e.SlowUntil)
	}
	return a
}

// webhookList is the answer of GET /v1/webhooks.
type webhookList struct {
	Webhooks []webhookAnswer `json:"webhooks"`
}

func (s *Server) listWebhooks(c *gin.Context) {
	list, err := s.notifier.Endpoints(c.Request.Context())
	if err != nil {
		s.fail(c, err)
		return
	}
	out := webhookList{Webhooks: []webhookAnswer{}}
	for i := range list {
		out.Webhooks = append(out.Webhooks, s.webhookOf(&list[i], ""))
	}
	s.readJSON(c, out)
}

func (s *Server) getWebhook(c *gin.Context) {
	e, err := s.notifier.Endpoint(c.Request.Context(), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.readJSON(c, s.webhookOf(&e, ""))
}

// optional is a field that a request has or lacks; null is neither.
type optional[T any] struct{ value *T }

// UnmarshalJSON takes what T takes, but null.
func (o *optional[T]) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return errors.New("null is no value here: leave the field out")
	}
	o.value = new(T)
	return json.Unmarshal(b, o.value)
}

// webhookRequest makes or changes a webhook.
type webhookRequest struct {
	URL         optional[string]   `json:"url"`
	Description optional[string]   `json:"description"`
	Types       optional[[]string] `json:"types"`
	Models      optional[[]string] `json:"models"`
	Enabled     optional[bool]     `json:"enabled"`
}

func (s *Server) createWebhook(c *gin.Context) {
	var q webhookRequest
	err := s.readObject(c, &q)
	if err == nil && q.Enabled.value != nil {
		err = refuse(http.StatusUnprocessableEntity, "a new webhook is enabled", fault{"a new webhook is enabled", "/enabled"})
	}
	if err == nil && q.URL.value == nil {
		err = refuse(http.StatusUnprocessableEntity, "url is missing: where events are to be sent", fault{"url is missing", "/url"})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	e := notify.Endpoint{URL: *q.URL.value}
	if q.Description.value != nil {
		e.Description = *q.Description.value
	}
	if q.Types.value != nil {
		e.Types = *q.Types.value
	}
	if q.Models.value != nil {
		e.Models = *q.Models.value
	}
	e, secret, err := s.notifier.Add(c.Request.Context(), e)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.audit(c, "webhooks.create", webhookDetail(&e))
	c.Header("Location", "/v1/webhooks/"+e.ID)
	writeJSON(c, http.StatusCreated, "application/json", s.webhookOf(&e, secret))
}

// webhookDetail is what the audit log has of a webhook: of its URL, which may hold a
// secret, only where it leads.
func webhookDetail(e *notify.Endpoint) string {
	host := ""
	if u, err := url.Parse(e.URL); err == nil {
		host = u.Host
	}
	of := func(list []string) string {
		if len(list) == 0 {
			return "all"
		}
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("webhook %s to %s, types: %s, models: %s", e.ID, clipTo(host, 100), of(e.Types), clipTo(of(e.Models), 200))
}

func (s *Server) changeWebhook(c *gin.Context) {
	var q webhookRequest
	if err := s.readObject(c, &q); err != nil {
		s.fail(c, err)
		return
	}
	e, err := s.notifier.Change(c.Request.Context(), c.Param("id"), notify.Patch{
		URL: q.URL.value, Description: q.Description.value, Types: q.Types.value, Models: q.Models.value, Enabled: q.Enabled.value,
	})
	if err != nil {
		s.fail(c, err)
		return
	}
	s.audit(c, "webhooks.change", webhookDetail(&e)+fmt.Sprintf(", enabled: %t", e.Enabled))
	writeJSON(c, http.StatusOK, "application/json", s.webhookOf(&e, ""))
}

func (s *Server) deleteWebhook(c *gin.Context) {
	if err := s.notifier.Remove(c.Request.Context(), c.Param("id")); err != nil {
		s.fail(c, err)
		return
	}
	s.audit(c, "webhooks.delete", "webhook "+c.Param("id"))
	c.Status(http.StatusNoContent)
}

func (s *Server) rotateWebhook(c *gin.Context) {
	e, secret, err := s.notifier.Rotate(c.Request.Context(), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.audit(c, "webhooks.rotate", "webhook "+e.ID+", the secret before signs until "+datasets.FormatTime(e.OldUntil))
	writeJSON(c, http.StatusOK, "application/json", s.webhookOf(&e, secret))
}

// testAnswer is the answer of POST /v1/webhooks/{id}/test.
type testAnswer struct {
	Event string `json:"event"`
}

func (s *Server) testWebhook(c *gin.Context) {
	event, err := s.notifier.Test(c.Request.Context(), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.audit(c, "webhooks.test", "webhook "+c.Param("id"))
	c.Header("Location", "/v1/webhooks/"+c.Param("id")+"/deliveries/"+event)
	writeJSON(c, http.StatusAccepted, "application/json", testAnswer{event})
}

// deliveryAnswer is a delivery as it is shown.
type deliveryAnswer struct {
	Event     string `json:"event"`
	Type      string `json:"type"`
	Model     string `json:"model,omitempty"`
	Timestamp string `json:"timestamp"`
	State     string `json:"state"`
	Attempts  int    `json:"attempts"`
	Due       string `json:"due,omitempty"`
	Tried     string `json:"tried,omitempty"`
	Status    int    `json:"status,omitempty"`
	Error     string `json:"error,omitempty"`
	// Body is what is sent, of a delivery that is asked for by its event.
	Body json.RawMessage `json:"body,omitempty"`
}

func deliveryOf(d *notify.Delivery) deliveryAnswer {
	a := deliveryAnswer{
		Event: d.Event, Type: d.Type, Model: d.Model, Timestamp: datasets.FormatTime(d.At), State: d.State,
		Attempts: d.Attempts, Status: d.Status, Error: d.Error,
	}
	if d.State == notify.StateWaiting {
		a.Due = datasets.FormatTime(d.Due)
	}
	if d.Tried != 0 {
		a.Tried = datasets.FormatTime(d.Tried)
	}
	if d.Body != "" {
		a.Body = json.RawMessage(d.Body)
	}
	return a
}

// deliveryPage is the answer of GET /v1/webhooks/{id}/deliveries.
type deliveryPage struct {
	Deliveries []deliveryAnswer `json:"deliveries"`
	// Next is the after of the next page; none: this was the last.
	Next string `json:"next,omitempty"`
}

const (
	deliveriesDefault = 100
	deliveriesMost    = 1000
)

func (s *Server) listDeliveries(c *gin.Context) {
	state, given := c.GetQuery("state")
	limit, err := queryNumber(c, "limit", deliveriesDefault, deliveriesMost)
	switch state {
	case notify.StateWaiting, notify.StateDone, notify.StateDead:
	default:
		if !given {
			break
		}
		err = refuse(http.StatusBadRequest, fmt.Sprintf("state %q is none: use waiting, done or dead", clip(state)))
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	after := c.Query("after")
	list, err := s.notifier.Deliveries(c.Request.Context(), c.Param("id"), state, after, int(limit)+1)
	if err != nil {
		s.fail(c, err)
		return
	}
	out := deliveryPage{Deliveries: []deliveryAnswer{}}
	for i := range list {
		if i == int(limit) {
			out.Next = list[i-1].Event
			break
		}
		out.Deliveries = append(out.Deliveries, deliveryOf(&list[i]))
	}
	s.readJSON(c, out)
}

func (s *Server) getDelivery(c *gin.Context) {
	d, err := s.notifier.Delivery(c.Request.Context(), c.Param("id"), c.Param("event"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.readJSON(c, deliveryOf(&d))
}

// replayRequest names the deliveries to start anew; none: all that are dead.
type replayRequest struct {
	Events optional[[]string] `json:"events"`
}

// replayAnswer is the answer of POST /v1/webhooks/{id}/replay.
type replayAnswer struct {
	Replayed int64 `json:"replayed"`
}

func (s *Server) replayWebhook(c *gin.Context) {
	var q replayRequest
	var events []string
	err := s.readObject(c, &q)
	if err == nil && q.Events.value != nil {
		if events = *q.Events.value; len(events) == 0 || len(events) > deliveriesMost {
			detail := fmt.Sprintf("events has %d ids, 1 to %d are taken; without it all that are dead are replayed", len(events), deliveriesMost)
			err = refuse(http.StatusUnprocessableEntity, detail, fault{detail, "/events"})
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	count, err := s.notifier.Replay(c.Request.Context(), c.Param("id"), events...)
	if errors.Is(err, notify.ErrNotFound) && len(events) > 0 {
		if _, known := s.notifier.Endpoint(c.Request.Context(), c.Param("id")); known == nil { // it is an id in the body that is not there
			err = refuse(http.StatusUnprocessableEntity, err.Error(), fault{err.Error(), "/events"})
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.audit(c, "webhooks.replay", fmt.Sprintf("webhook %s, %d deliveries", c.Param("id"), count))
	writeJSON(c, http.StatusAccepted, "application/json", replayAnswer{count})
}
