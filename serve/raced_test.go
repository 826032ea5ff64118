//go:build race

package serve

// raced: the race detector lets pools forget things at random.
const raced = true
