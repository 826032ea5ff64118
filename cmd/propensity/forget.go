package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"propensity/features/online"
	"propensity/features/spec"
	"propensity/serve"
	"propensity/serve/database"
	"propensity/serve/ledger"
)

func (a *app) forgetCommand() *cobra.Command {
	var address, store string
	c := &cobra.Command{
		Use:   "forget ACCOUNT",
		Short: "Delete what is kept of one account",
		Long: `Delete what the ledger keeps of one account, its scores, rows, outcomes and changes of
band, and what webhooks were told of it, and with --store its facts: by the sources of the project file, if there is one, those
of its users and of accounts that were merged into it too. A server that runs does the same
on DELETE /v1/accounts/{id}. Sources, exported tables and backups are not touched.`,
		Example: `  propensity forget A-17 --store sqlite:facts.db`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return a.forget(c.Context(), args[0], address, store) },
	}
	ledgerFlag(c.Flags(), &address)
	c.Flags().Lookup("ledger").Usage += "; off: there is none"
	storeFlag(c, &store)
	return c
}

func (a *app) forget(ctx context.Context, account, address, store string) error {
	var sum struct {
		Account string `json:"account"` // its SHA-256
		ledger.Forgotten
		Facts int64 `json:"facts"`
	}
	sum.Account = serve.HashOf(account)
	if store != "" {
		p, _, err := a.features()
		if errors.Is(err, os.ErrNotExist) {
			p, err = &spec.Project{}, nil
		}
		if err != nil {
			return err
		}
		s, err := openStore(ctx, store)
		if err != nil {
			return err
		}
		defer s.Close()
		if sum.Facts, err = online.NewAccounts(s, 0).Forget(ctx, p, account); err != nil {
			return err
		}
	}
	if address != "off" {
		err := a.withDatabase(ctx, address, func(db *database.DB, l *ledger.Ledger) (err error) {
			if sum.Forgotten, err = l.Forget(ctx, account); err != nil {
				return err
			}
			return serve.AuditForget(ctx, db, account)
		})
		if err == nil {
			err = forgetWebhooks(ctx, address, account)
		}
		if err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(sum)
	}
	a.print("account with SHA-256 %s: %d scores, %d outcomes, %d changes and %d facts were deleted", sum.Account, sum.Scores, sum.Outcomes, sum.Changes, sum.Facts)
	return nil
}
