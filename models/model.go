// Package models holds what training leaves behind: a fitted model, the artifact
// that carries it with its encoder, calibration and evidence, and the scorer that
// turns an artifact into probabilities with reasons.
package models

// Model is a fitted model: x holds one float64 per encoded column (NaN missing,
// -1 an unseen category). There are two kinds: *Linear and *tree.Ensemble.
// Implementations are safe for concurrent use and never panic on any float64.
type Model interface {
	// Raw is the log-odds of the positive label.
	Raw(x []float64) float64
	// Explain fills phi, one place per feature, with the Shapley values of x in
	// log-odds and returns the base they start from, the same for every x: base +
	// sum(phi) is Raw(x) to 1e-9. Linear models are explained against independent features, trees
	// along their paths by training cover.
	Explain(phi, x []float64) (base float64)
}
