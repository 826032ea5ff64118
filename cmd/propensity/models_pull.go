package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"propensity/models"
	"propensity/models/registry"
)

func (a *app) pullCommand() *cobra.Command {
	var from remoteFlags
	var alias, note string
	c := a.modelsSub("pull MODEL[@VERSION|@ALIAS]", "Fetch a version from another server", func(c *cobra.Command, ref registry.Ref) error {
		return a.pull(c, ref, &from, alias, note)
	})
	c.Long = `Fetch a version from another server. It is checked and replayed before it is there, with
the next number of this registry; the very same version again has the number it has, so that
a scheduler may pull every few minutes. Needs a key with the scope read.`
	c.Example = `  propensity models pull churn@champion --from https://scores.example.com --key-file read.key
  propensity models pull churn --from https://scores.example.com --key-file read.key --alias champion`
	from.describe(c.Flags(), "from", "to fetch it from")
	c.Flags().StringVar(&alias, "alias", "", "`name` of an alias to point at it here")
	c.Flags().StringVar(&note, "note", "", "`why`, for the log")
	return c
}

// pulled is what a pull did.
type pulled struct {
	Model     string `json:"model"`
	Version   int    `json:"version"`
	From      string `json:"from"`
	There     int    `json:"there"` // its number there
	Published bool   `json:"published"`
	Hash      string `json:"hash"`
	Alias     string `json:"alias,omitempty"`
}

// maxPulled bounds the files of a version, in bytes.
const maxPulled = 1 << 30

func (a *app) pull(c *cobra.Command, ref registry.Ref, from *remoteFlags, alias, note string) error {
	ctx := c.Context()
	server, err := from.open("from", a.stdin)
	if err != nil {
		return err
	}
	defer server.close()
	if ref.Version == 0 {
		var at struct {
			Version int `json:"version"`
		}
		if err := server.json(ctx, "GET", []string{"v1/models", ref.Name, "aliases", ref.Alias}, "", nil, &at); err != nil {
			return err
		}
		if ref.Version = at.Version; ref.Version < 1 {
			return fmt.Errorf("%s does not say which version %s is", server.base, ref)
		}
	}
	files, err := server.files(ctx, ref)
	if err != nil {
		return err
	}
	e := registry.Event{Actor: actor(), Note: note, Facts: map[string]any{"from": server.base.String(), "version": ref.Version}}
	number, published, err := a.open().Import(ctx, ref.Name, files, e)
	if err != nil {
		return fmt.Errorf("%s from %s: %w", ref, server.base, err)
	}
	manifest, err := models.ParseManifest(files[models.ManifestFile])
	if err != nil {
		return err
	}
	if alias != "" {
		if err := a.open().Promote(ctx, ref.Name, number, alias, e); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(pulled{ref.Name, number, server.base.String(), ref.Version, published, manifest.Hash, alias})
	}
	was := "is"
	if !published {
		was = "was already"
	}
	a.print("%s@%d at %s %s %s@%d", ref.Name, ref.Version, server.base, was, ref.Name, number)
	if alias != "" {
		a.print("%s@%s is version %d now", ref.Name, alias, number)
	}
	return nil
}

// files fetches the files of a version.
func (r *remote) files(ctx context.Context, ref registry.Ref) (models.Files, error) {
	got, err := r.do(ctx, "GET", []string{"v1/models", ref.Name, "versions", strconv.Itoa(ref.Version), "files"}, "", nil)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	files, err := registry.ReadTar(got.Body, maxPulled)
	if err != nil {
		return nil, fmt.Errorf("%s from %s: %w", ref, r.base, err)
	}
	return files, nil
}
