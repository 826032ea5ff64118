package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"propensity/serve"
	"propensity/serve/notify"
)

// notifyFlags say what a server tells others, and where.
type notifyFlags struct {
	private bool
	falls   []string
}

func (o *notifyFlags) describe(f *pflag.FlagSet) {
	f.BoolVar(&o.private, "webhook-allow-private", false, "send webhooks also to private addresses, and over plain http")
	f.StringArrayVar(&o.falls, "usage-fell", nil, "tell webhooks when a column of an account's row falls below a number: `column<number`, such as '*_trend<-0.5'; may be repeated")
}

func (o *notifyFlags) fill(cfg *serve.Config) error {
	cfg.WebhookPrivate = o.private
	for _, text := range o.falls {
		fall, err := notify.ParseFall(text)
		if err != nil {
			return fmt.Errorf("%w: --usage-fell: %w", errUsage, err)
		}
		cfg.Falls = append(cfg.Falls, fall)
	}
	if len(cfg.Falls) > 0 && cfg.Database == nil {
		return fmt.Errorf("%w: --usage-fell needs a ledger", errUsage)
	}
	return nil
}

// forgetWebhooks deletes what webhooks were told of an account, or are to be.
func forgetWebhooks(ctx context.Context, address, account string) error {
	db, err := openDatabase(ctx, address)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = notify.New(notify.Config{DB: db}).Forget(ctx, account)
	return err
}
