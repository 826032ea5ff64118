package ledger

import (
	"context"
)

func (l *Ledger) expireOften(ctx context.Context) { <-ctx.Done() }
