// Package convert reads the tree models of other libraries and writes ours for
// them: LightGBM's text format both ways, XGBoost's JSON inwards. What a format
// says is translated exactly, by more nodes where one does not do, or refused.
// Whole artifacts, of any kind, are written as SQL.
package convert

import (
	"errors"

	"propensity/models/tree"
)

// Errors of conversion; test with errors.Is.
var (
	// ErrFormat is a file that is damaged or not of the format at all.
	ErrFormat = errors.New("not a model file that can be read")
	// ErrUnsupported is a model that is in order but that the other side cannot
	// hold: of another objective, of linear leaves, too large once translated.
	ErrUnsupported = errors.New("unsupported model")
)

// Model is a model of one outcome, yes or no, with the names of its features.
type Model struct {
	// Features names the columns that Ensemble expects, in their order.
	Features []string
	// Categories has one entry per feature: the text of each code of a category, or
	// nil for a number and where the file does not tell beyond doubt. Codes that it
	// does not name are unseen to whoever encodes by these texts.
	Categories [][]string
	// Ensemble gives the log-odds of the positive label.
	Ensemble *tree.Ensemble
}

// The limits of what is read and written: beyond any useful model, and they keep
// a hostile file from exhausting the memory.
const (
	maxFeatures = 1 << 20
	maxDepth    = 1000    // the tree package's own
	maxTree     = 1 << 18 // nodes of one tree; LightGBM grows 131072 leaves at most
	maxCopies   = 1 << 22 // nodes that translation adds, over all trees
)
