package serve

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"propensity/datasets"
	"propensity/models"
	"propensity/serve/notify"
)

// usage looks at the columns of scored rows that rules are about, behind the answers.
type usage struct {
	falls  []notify.Fall
	seen   chan []notify.Usage
	unseen prometheus.Counter
}

// maxSeenUsage is how many scores may wait to be looked at.
const maxSeenUsage = 4096

// watched is a column of a version that a rule is about.
type watched struct {
	column    int
	name      string
	threshold float64
}

// watchedOf are the columns of a version that rules are about, by the first that is about
// each.
func watchedOf(scorer *models.Scorer, falls []notify.Fall) (out []watched) {
	columns := scorer.Encoder().Columns
	for j := range columns {
		if columns[j].Kind != datasets.Number {
			continue
		}
		for _, f := range falls {
			if f.Of(columns[j].Name) {
				out = append(out, watched{j, columns[j].Name, f.Threshold})
				break
			}
		}
	}
	return out
}

// offer keeps what rules are about of a score that was given, if there is room.
func (u *usage) offer(g *given) {
	if g.request.account == "" {
		return
	}
	var list []notify.Usage
	account := ""
	for _, w := range g.version.watched {
		cell := &g.request.row[w.column]
		if cell.Missing() {
			continue
		}
		if list == nil {
			list, account = make([]notify.Usage, 0, len(g.version.watched)), strings.Clone(g.request.account)
		}
		list = append(list, notify.Usage{
			Account: account, Model: g.version.name, Version: g.version.number,
			Column: w.name, Threshold: w.threshold, Value: cell.Number, AsOf: g.request.moment,
		})
	}
	if list == nil {
		return
	}
	select {
	case u.seen <- list:
	default:
		u.unseen.Add(float64(len(list)))
	}
}

// run looks at what was kept, in the order in which it was. While the database is away
// it waits, and what finds no room is not seen.
func (u *usage) run(ctx context.Context, s *Server) {
	failing := false
	for ctx.Err() == nil {
		var batch []notify.Usage
		select {
		case <-ctx.Done():
		case list := <-u.seen:
			batch = u.more(list)
		}
		for ctx.Err() == nil && len(batch) > 0 {
			err := s.notifier.Used(ctx, batch)
			if err == nil {
				batch, failing = nil, false
				continue
			}
			if !failing && ctx.Err() == nil {
				s.log.Error("usage cannot be looked at", slog.Any("error", err))
			}
			failing = true
			select {
			case <-ctx.Done():
			case <-time.After(s.cfg.Poll):
			}
		}
		if ctx.Err() != nil {
			u.last(ctx, s, batch)
		}
	}
}

// more adds to a list what waits behind it, a few hundred in all.
func (u *usage) more(batch []notify.Usage) []notify.Usage {
	for len(batch) < maxSeenUsage/8 {
		select {
		case list := <-u.seen:
			batch = append(batch, list...)
		default:
			return batch
		}
	}
	return batch
}

// last looks at what is left when the server stops, once.
func (u *usage) last(ctx context.Context, s *Server, batch []notify.Usage) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for batch = u.more(batch); len(batch) > 0; batch = u.more(nil) {
		if err := s.notifier.Used(ctx, batch); err != nil {
			u.unseen.Add(float64(len(batch)))
		}
	}
}
