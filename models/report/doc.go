// Package report tells what an artifact's evidence says: an HTML page for people,
// which needs no network and no script, a model card in Markdown, and JSON for
// machines. The same artifact gives the same bytes: they hold no time, no version
// and no machine.
package report
