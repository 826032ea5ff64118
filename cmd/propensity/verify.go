package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/registry"
	"propensity/train"
)

// verified is what `models verify --json` prints.
type verified struct {
	Model   string `json:"model"`
	Version int    `json:"version"`
	Whole   bool   `json:"whole"`
	// Retrained says whether training again gave the same artifact; absent if it was
	// not tried.
	Retrained *bool    `json:"retrained,omitempty"`
	Hash      string   `json:"hash,omitempty"` // of what training again gave
	Differ    []string `json:"differ,omitempty"`
}

func (a *app) verifyCommand() *cobra.Command {
	var data string
	var missing []string
	c := a.modelsSub("verify MODEL[@VERSION|@ALIAS]", "Check a version: its hashes, its scores and, with --data, whether training again gives it", nil)
	c.Long = `Check every hash of a version and replay its rows. With --data, the table that it was
learnt from, train it again by the spec that stands in it and compare: the same table
and spec give the same artifact, to the bit, at any number of processors.

Exit code 3: training again gave another artifact.`
	c.RunE = func(c *cobra.Command, args []string) error {
		ref, err := registry.ParseRef(args[0])
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		if ref, err = a.open().Resolve(ref); err != nil {
			return err
		}
		if err := a.open().Verify(ref.Name, ref.Version); err != nil {
			return err
		}
		v := &verified{Model: ref.Name, Version: ref.Version, Whole: true}
		if data != "" {
			err = a.again(c.Context(), v, ref, data, missing)
		}
		if err != nil {
			return err
		}
		return a.showVerified(v)
	}
	c.Flags().StringVar(&data, "data", "", "`file` with the table that it was learnt from")
	c.Flags().StringSliceVar(&missing, "missing", nil, "`texts` that mean a missing value, as when it was trained")
	return c
}

// again trains a version again and compares.
func (a *app) again(ctx context.Context, v *verified, ref registry.Ref, data string, missing []string) error {
	files, err := a.open().Read(ref.Name, ref.Version)
	if err != nil {
		return err
	}
	was, err := models.ParseManifest(files[models.ManifestFile])
	if err != nil {
		return err
	}
	spec, err := train.ParseSpec(files[models.SpecFile])
	if err != nil {
		return fmt.Errorf("the spec of %s: %w", ref, err)
	}
	spec.Features = files[models.FeaturesFile]
	tick, wait := a.progress()
	defer wait()
	t, err := a.read(ctx, data, datasets.ReadOptions{Kinds: spec.ReadKinds(), Missing: missing, Progress: bytesTick(tick)})
	if err != nil {
		return err
	}
	tick("read", 1, 1)
	if fingerprint := t.Fingerprint(); fingerprint != was.Data.Fingerprint {
		return fmt.Errorf("%s is not the table that %s was learnt from: its fingerprint is %s, not %s; name that table, and with --missing the texts that meant a missing value",
			data, ref, abbreviated(fingerprint), abbreviated(was.Data.Fingerprint))
	}
	r, err := train.Run(ctx, t, spec, nil, tick)
	if err != nil {
		return inFile(data, err)
	}
	same := r.Artifact.Hash() == was.Hash
	v.Retrained, v.Hash = &same, r.Artifact.Hash()
	for k, f := range was.Files {
		if f != r.Artifact.Manifest.Files[k] {
			v.Differ = append(v.Differ, f.Name)
		}
	}
	return nil
}

func (a *app) showVerified(v *verified) error {
	name := fmt.Sprintf("%s@%d", v.Model, v.Version)
	if a.json {
		if err := a.printJSON(v); err != nil {
			return err
		}
	} else {
		a.print("%s is whole: its hashes agree, and it gives the scores recorded in it", name)
		if v.Retrained != nil && *v.Retrained {
			a.print("trained again it is the same to the bit: %s", abbreviated(v.Hash))
		}
	}
	if v.Retrained != nil && !*v.Retrained {
		return fmt.Errorf("%w: trained again %s is another artifact, %s: %q differ; another version of the program, or another kind of processor, made it", errNo, name, abbreviated(v.Hash), v.Differ)
	}
	return nil
}
