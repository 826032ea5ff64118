package notify

import (
	"context"
	"database/sql"
)

// Finding is what the monitor says of a column of a version, or of its scores.
type Finding struct {
	Model   string
	Version int
	Column  string // "": the scores
	// Found: it drifts. Otherwise it does not, and if that was said before, it is over.
	// What cannot be judged yet is no finding.
	Found           bool
	Verdict, Detail string
}

// Drifted takes in findings and enqueues model.drift_found for each that is new: once,
// until it is over.
func (n *Notifier) Drifted(ctx context.Context, findings []Finding) error {
	if len(findings) == 0 {
		return nil
	}
	return n.Update(ctx, func(tx *sql.Tx) (events []Event, err error) {
		for i := range findings {
			f := &findings[i]
			statement, args := `DELETE FROM notify_findings WHERE model = ? AND version = ? AND name = ?`, []any{f.Model, f.Version, clip(f.Column, 500)}
			if f.Found {
				statement, args = `INSERT INTO notify_findings (model, version, name, found) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`, append(args, n.now())
			}
			r, err := tx.ExecContext(ctx, n.cfg.DB.Rebind(statement), args...)
			if err != nil {
				return nil, err
			}
			fresh, err := r.RowsAffected()
			if err != nil {
				return nil, err
			}
			if f.Found && fresh > 0 {
				events = append(events, Event{Type: TypeDriftFound, Model: f.Model, At: n.now(), Data: DriftFound{
					Model: f.Model, Version: f.Version, Column: clip(f.Column, 500), Verdict: clip(f.Verdict, 500), Detail: clip(f.Detail, 2000),
				}})
			}
		}
		return events, nil
	})
}
