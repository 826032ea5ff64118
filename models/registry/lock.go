package registry

import "context"

// Lock waits until it alone holds the lock file path, which it makes, or ctx is done.
// It is for who keeps other files than a registry's in the same careful way.
func Lock(ctx context.Context, path string) (unlock func() error, err error) {
	return lock(ctx, path)
}
