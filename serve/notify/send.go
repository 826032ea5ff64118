package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// parcel is a delivery that this process has taken.
type parcel struct {
	endpoint Endpoint
	event    string
	lease    string
	made     int // attempts made before
	body     []byte
}

// attempt is what came of sending a parcel.
type attempt struct {
	*parcel
	at      int64 // when it ended, µs since 1970 UTC; not later than when it is written
	status  int   // 0: no answer
	after   time.Duration
	failure string // "": a 2xx came back
	stopped bool   // the process ends: it was no attempt
}

// maxAnswer bounds what is read of an answer, in bytes, so that its connection can be
// used again.
const maxAnswer = 64 << 10

// send makes one attempt.
func (n *Notifier) send(ctx context.Context, p *parcel) attempt {
	a := attempt{parcel: p}
	limited, cancel := context.WithTimeout(ctx, n.cfg.Timeout)
	defer cancel()
	status, header, err := n.post(limited, p)
	now := n.cfg.Now()
	a.at, a.status = now.UnixMicro(), status
	var private *privateError
	switch {
	case err == nil && status/100 == 2:
	case err == nil:
		a.failure = "status " + strconv.Itoa(status)
		if status/100 == 3 {
			a.failure += ": redirects are not followed; change the URL of the webhook"
		}
		a.after = retryAfter(header.Get("Retry-After"), now)
	case ctx.Err() != nil:
		a.stopped = true
	case errors.As(err, &private):
		a.failure = private.Error()
	case errors.Is(err, context.DeadlineExceeded):
		a.failure = fmt.Sprintf("no answer within %v", n.cfg.Timeout)
	default:
		a.failure = clip(err.Error(), 300)
	}
	return a
}

func (n *Notifier) post(ctx context.Context, p *parcel) (status int, header http.Header, err error) {
	now := n.cfg.Now()
	signature, err := sign(p.endpoint.secrets(now), p.event, now.Unix(), p.body)
	if err != nil {
		return 0, nil, err
	}
	// Looked at again, as the server may since have been started without what allowed it.
	if err := checkURL(p.endpoint.URL, n.cfg.Private); err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.endpoint.URL, bytes.NewReader(p.body))
	if err != nil {
		return 0, nil, errors.New("the URL cannot be sent to")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "propensity")
	r.Header.Set("Webhook-Id", p.event)
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("Webhook-Signature", signature)
	answer, err := n.client.Do(r)
	if err != nil {
		var u *url.Error // which would show the URL, and a URL may hold a secret
		if errors.As(err, &u) {
			err = u.Err
		}
		return 0, nil, err
	}
	// The status is the answer: a body that breaks off changes nothing.
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	_ = answer.Body.Close()
	return answer.StatusCode, answer.Header, nil
}
