package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"propensity/models/registry"
)

func (a *app) canaryCommand() *cobra.Command {
	var share, note string
	var end bool
	c := a.modelsSub("canary MODEL[@VERSION]", "Let a version answer for a share of the accounts", func(c *cobra.Command, ref registry.Ref) error {
		e := registry.Event{Actor: actor(), Note: note}
		switch {
		case end && share != "":
			return fmt.Errorf("%w: --end or --share, not both", errUsage)
		case end:
			if err := a.open().EndCanary(c.Context(), ref.Name, e); err != nil {
				return err
			}
		case share != "":
			part, err := parseShare(share)
			if err != nil {
				return err
			}
			if ref.Version == 0 {
				return fmt.Errorf("%w: name the version to try, such as %s@8", errUsage, ref.Name)
			}
			if _, err := a.open().SetCanary(c.Context(), ref.Name, ref.Version, part, e); err != nil {
				return err
			}
		}
		return a.showCanary(ref.Name)
	})
	c.Long = `Let a version answer for a share of the accounts in the place of the champion, change the
share, or end it. An account is always on the same side, on every server of this registry; a
share that grows lets none go. Requests that name a version or an alias, or no account, are
not the canary's. It ends when the champion moves. Without --share or --end, show it.`
	c.Example = `  propensity models canary churn@8 --share 5%
  propensity models canary churn
  propensity models canary churn --end --note "too many alarms"`
	c.Flags().StringVar(&share, "share", "", "`share` of the accounts, such as 5% or 0.05")
	c.Flags().BoolVar(&end, "end", false, "give all accounts back to the champion")
	c.Flags().StringVar(&note, "note", "", "`why`, for the log")
	return c
}

// parseShare reads 5% or 0.05: above 0, at most 1.
func parseShare(text string) (float64, error) {
	digits, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	x, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x > 0 && x <= 1) {
		return 0, fmt.Errorf("%w: --share %q: write a share above 0 and at most 1, such as 5%% or 0.05", errUsage, text)
	}
	return x, nil
}

func (a *app) showCanary(name string) error {
	k, err := a.open().Canary(name)
	if err != nil {
		return err
	}
	if a.json {
		if k.Version == 0 {
			return a.printJSON(map[string]any{"model": name, "canary": nil})
		}
		return a.printJSON(map[string]any{"model": name, "canary": k})
	}
	if k.Version == 0 {
		a.print("%s has no canary", name)
		return nil
	}
	a.print("%s@%d answers for %s of the accounts, %s@%d for the rest", name, k.Version, shareText(k.Share), name, k.Champion)
	return nil
}

// shareText spells a share.
func shareText(share float64) string { return strconv.FormatFloat(share*100, 'g', 4, 64) + " %" }
