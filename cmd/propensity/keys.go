package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"propensity/serve/keys"
)

const defaultKeys = "keys.json"

func (a *app) keysCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make, list, rotate and revoke the API keys of a server",
		Long: `Make, list, rotate and revoke the API keys of a server. They are in a file, with only
their hashes; a server that runs takes up every change with its next request.`,
		Example: `  propensity keys create crm --scopes score --rate 50
  propensity keys list
  propensity keys rotate k3x7ab2q --overlap 1d
  propensity keys revoke k3x7ab2q`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&file, "keys", defaultKeys, "`file` of the keys")
	c.AddCommand(a.createKeyCommand(&file), a.listKeysCommand(&file), a.rotateKeyCommand(&file), a.revokeKeyCommand(&file))
	return c
}

func (a *app) createKeyCommand(file *string) *cobra.Command {
	var like keys.Key
	var expires string
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a key and show it, once",
		Long: `Make a key and show it, once: only its hash is kept. The key alone goes to stdout.

Scopes: read (models, accounts, the ledger, metrics), score (to score), write (facts,
attributes, outcomes), admin (all of them, and versions, aliases, keys, webhooks, jobs).`,
		Example: `  propensity keys create crm --scopes score --rate 50 --burst 200
  propensity keys create warehouse --scopes score,read --daily 1000000 --expires 90d > warehouse.key
  propensity keys create ops --scopes admin`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			now := time.Now()
			like.Name = args[0]
			if expires != "" {
				d, err := parseDays(expires)
				if err != nil {
					return fmt.Errorf("%w: --expires: %w", errUsage, err)
				}
				like.Expires = now.Add(d)
			}
			k, text, err := keys.Create(c.Context(), *file, like, now)
			if err != nil {
				return keysError(err)
			}
			return a.keyMade(&k, text, fmt.Sprintf("%s may %s. This is the key, shown this once:", k.ID, strings.Join(k.Scopes, ", ")))
		},
	}
	f := c.Flags()
	f.StringSliceVar(&like.Scopes, "scopes", nil, "what it may: `scopes` of read, score, write, admin (needed)")
	f.Float64Var(&like.Rate, "rate", 0, "requests a second in the long run (default: no limit)")
	f.IntVar(&like.Burst, "burst", 0, "requests at once (default: twice the rate)")
	f.Int64Var(&like.Daily, "daily", 0, "scores and other requests in a day of UTC (default: no limit)")
	f.StringVar(&expires, "expires", "", "how long it holds, such as `90d` or 12h (default: until it is revoked)")
	return c
}

func (a *app) listKeysCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys, also those revoked", Args: cobra.NoArgs,
		Example: "  propensity keys list --json",
		RunE: func(*cobra.Command, []string) error {
			list, err := keys.List(*file)
			if err != nil {
				return keysError(err)
			}
			now := time.Now()
			if a.json {
				shown := []shownKey{}
				for i := range list {
					shown = append(shown, showKey(&list[i], "", now))
				}
				return a.printJSON(shown)
			}
			rows := [][]string{{"id", "name", "scopes", "a second", "a day", "made", "state"}}
			for i := range list {
				k := &list[i]
				rate, daily := "any", "any"
				if k.Rate > 0 {
					rate = fmt.Sprintf("%g (%d at once)", k.Rate, k.Burst)
				}
				if k.Daily > 0 {
					daily = strconv.FormatInt(k.Daily, 10)
				}
				rows = append(rows, []string{k.ID, k.Name, strings.Join(k.Scopes, ", "), rate, daily, k.Created.Format(time.DateTime), keyState(k, now)})
			}
			a.table(rows)
			return nil
		},
	}
}

// keyState is how a key is, in words.
func keyState(k *keys.Key, now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked " + k.Revoked.Format(time.DateTime)
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return "expired " + k.Expires.Format(time.DateTime)
	}
	state := "in use"
	if !k.Expires.IsZero() {
		state += " until " + k.Expires.Format(time.DateTime)
	}
	for _, s := range k.Secrets {
		if !s.Until.IsZero() && now.Before(s.Until) {
			state += ", the text before until " + s.Until.Format(time.DateTime)
		}
	}
	return state
}

func (a *app) rotateKeyCommand(file *string) *cobra.Command {
	var overlap string
	c := &cobra.Command{
		Use:   "rotate ID",
		Short: "Give a key a new text; the one before holds on for a while",
		Example: `  propensity keys rotate k3x7ab2q --overlap 1d
  propensity keys rotate k3x7ab2q --overlap 0`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var d time.Duration
			if overlap != "0" {
				var err error
				if d, err = parseDays(overlap); err != nil {
					return fmt.Errorf("%w: --overlap: %w", errUsage, err)
				}
			}
			k, text, err := keys.Rotate(c.Context(), *file, args[0], d, time.Now())
			if err != nil {
				return keysError(err)
			}
			return a.keyMade(&k, text, fmt.Sprintf("%s (%s) is %s. This is its new text, shown this once:", k.ID, k.Name, keyState(&k, time.Now())))
		},
	}
	c.Flags().StringVar(&overlap, "overlap", "1d", "how long the text before holds on, such as `1d` or 12h; 0: it ends at once")
	return c
}

func (a *app) revokeKeyCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End a key, from the next request on", Args: cobra.ExactArgs(1),
		Example: "  propensity keys revoke k3x7ab2q",
		RunE: func(c *cobra.Command, args []string) error {
			k, err := keys.Revoke(c.Context(), *file, args[0], time.Now())
			if err != nil {
				return keysError(err)
			}
			if a.json {
				return a.printJSON(showKey(&k, "", time.Now()))
			}
			a.print("%s (%s) is revoked", k.ID, k.Name)
			return nil
		},
	}
}

// keyMade shows a key that was made, alone on stdout.
func (a *app) keyMade(k *keys.Key, text, words string) error {
	if a.json {
		return a.printJSON(showKey(k, text, time.Now()))
	}
	a.say("%s", words)
	a.print("%s", text)
	return nil
}

// shownKey is a key as --json shows it: without hashes.
type shownKey struct {
	ID      string    `json:"id"`
	Key     string    `json:"key,omitempty"`
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Rate    float64   `json:"rate,omitempty"`
	Burst   int       `json:"burst,omitempty"`
	Daily   int64     `json:"daily,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Revoked time.Time `json:"revoked,omitzero"`
	State   string    `json:"state"`
}

func showKey(k *keys.Key, text string, now time.Time) shownKey {
	return shownKey{k.ID, text, k.Name, k.Scopes, k.Rate, k.Burst, k.Daily, k.Created, k.Expires, k.Revoked, keyState(k, now)}
}

// keysError tells how a command was used wrongly from what failed.
func keysError(err error) error {
	switch {
	case errors.Is(err, keys.ErrKey):
		return fmt.Errorf("%w: %w", errUsage, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: make one with propensity keys create", err)
	}
	return err
}
