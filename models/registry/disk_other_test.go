//go:build !linux

package registry

import "fmt"

func childOnDisk(role string, _ *Registry) error { return fmt.Errorf("unknown role %q", role) }
