package online

import "sync"

// changes count the changes of accounts for a store that itself counts only its
// commits: as long as all commits are of this process, it knows what each has changed.
// After one of another process all accounts count as changed.
type changes struct {
	mu      sync.Mutex
	commits int64 // that were seen
	epoch   uint64
	counts  map[string]uint32 // changes of accounts in this epoch
	writing bool              // a commit of this process may be in the store and not yet noted
	unique  uint64
}

// maxCounted bounds the accounts that are counted apart.
const maxCounted = 1 << 20

// begin comes before a commit, add or abandon after it.
func (c *changes) begin() {
	c.mu.Lock()
	c.writing = true
	c.mu.Unlock()
}

// abandon ends a commit that has failed, or may have.
func (c *changes) abandon() {
	c.mu.Lock()
	c.writing = false
	c.mu.Unlock()
}

// add notes that accounts have changed in a commit, after which the store has had so
// many.
func (c *changes) add(commits int64, accounts []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	if len(accounts) == 0 {
		return
	}
	if commits != c.commits+1 || len(c.counts) > maxCounted {
		c.next(commits)
		return
	}
	if c.counts == nil {
		c.counts = make(map[string]uint32)
	}
	for _, account := range accounts {
		c.counts[account]++
	}
	c.commits = commits
}

// next makes all accounts count as changed.
func (c *changes) next(commits int64) {
	c.commits = commits
	c.epoch++
	clear(c.counts)
}

// versions gives numbers of accounts that are read after the store has had so many
// commits.
func (c *changes) versions(commits int64, accounts []string) []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]uint64, len(accounts))
	if commits > c.commits && c.writing { // of whom is not known
		for i := range out {
			c.unique++
			out[i] = 1<<63 | c.unique
		}
		return out
	}
	if commits > c.commits {
		c.next(commits)
	}
	for i, account := range accounts {
		out[i] = c.epoch<<32 | uint64(c.counts[account])
	}
	return out
}
