package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"propensity/models/registry"
)

func (a *app) pushCommand() *cobra.Command {
	var to remoteFlags
	var alias, note string
	c := a.modelsSub("push MODEL[@VERSION|@ALIAS]", "Send a version to another server", func(c *cobra.Command, ref registry.Ref) error {
		return a.push(c, ref, &to, alias, note)
	})
	c.Long = `Send a version to another server, which checks and replays it before it is there. It gets
the next number of that server's registry; the very same version again has the number it
has. Needs a key with the scope admin.`
	c.Example = `  propensity models push churn@7 --to https://scores.example.com --key-file ops.key
  propensity models push churn --to https://scores.example.com --key-file ops.key --alias challenger`
	to.describe(c.Flags(), "to", "to send it to")
	c.Flags().StringVar(&alias, "alias", "", "`name` of an alias to point at it there")
	c.Flags().StringVar(&note, "note", "", "`why`, for the log of that alias")
	return c
}

// pushed is what a push did.
type pushed struct {
	Model     string `json:"model"`
	Version   int    `json:"version"`
	To        string `json:"to"`
	There     int    `json:"there"` // its number there
	Published bool   `json:"published"`
	Hash      string `json:"hash"`
	Alias     string `json:"alias,omitempty"`
}

func (a *app) push(c *cobra.Command, ref registry.Ref, to *remoteFlags, alias, note string) error {
	server, err := to.open("to", a.stdin)
	if err != nil {
		return err
	}
	defer server.close()
	if alias != "" {
		if r, err := registry.ParseRef(ref.Name + "@" + alias); err != nil || r.Alias != alias {
			return fmt.Errorf("%w: --alias %q is no alias", errUsage, alias)
		}
	}
	// Checked and replayed here too: what is damaged on this side is said on this side.
	scorer, ref, err := a.open().Load(ref)
	if err != nil {
		return err
	}
	files, err := a.open().Read(ref.Name, ref.Version)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := registry.WriteTar(&body, files); err != nil {
		return err
	}
	done := pushed{Model: ref.Name, Version: ref.Version, To: server.base.String(), Hash: scorer.Artifact().Hash(), Alias: alias}
	var got struct {
		Version   int    `json:"version"`
		Hash      string `json:"hash"`
		Published bool   `json:"published"`
	}
	if err := server.json(c.Context(), "PUT", []string{"v1/models", ref.Name, "versions"}, "application/x-tar", &body, &got); err != nil {
		return err
	}
	if got.Hash != done.Hash || got.Version < 1 {
		return fmt.Errorf("%s has taken in another artifact than was sent: hash %.64q, not %s", server.base, got.Hash, done.Hash)
	}
	if done.There, done.Published = got.Version, got.Published; alias != "" {
		move, err := json.Marshal(map[string]any{"version": got.Version, "note": note})
		if err != nil {
			return err
		}
		var moved struct {
			Serving int `json:"serving"`
		}
		if err := server.json(c.Context(), "PUT", []string{"v1/models", ref.Name, "aliases", alias}, "application/json", bytes.NewReader(move), &moved); err != nil {
			return fmt.Errorf("%s@%d is %s@%d there, but the alias stays: %w", ref.Name, ref.Version, ref.Name, got.Version, err)
		}
	}
	if a.json {
		return a.printJSON(done)
	}
	was := "is"
	if !got.Published {
		was = "was already"
	}
	a.print("%s@%d %s %s@%d at %s", ref.Name, ref.Version, was, ref.Name, got.Version, server.base)
	if alias != "" {
		a.print("%s@%s is version %d there now", ref.Name, alias, got.Version)
	}
	return nil
}
