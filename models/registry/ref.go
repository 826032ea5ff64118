package registry

import (
	"fmt"
	"strconv"
	"strings"

	"propensity/models"
)

// Champion is the alias that a reference without one means.
const Champion = "champion"

// Ref names a version of a model, by its number or by an alias. With a Version,
// the Alias only tells how it was found.
type Ref struct {
	Name    string
	Version int
	Alias   string
}

// ParseRef reads "churn@7", "churn@champion", or "churn" for the champion. What
// follows the @ is a version if it is a number, and never an alias then; "v7" is
// no alias either. Anything else is ErrReference.
func ParseRef(s string) (Ref, error) {
	name, rest, tagged := strings.Cut(s, "@")
	ref := Ref{Name: name, Alias: Champion}
	if tagged {
		ref.Alias = rest
		if n, ok := parseNumber(rest); ok {
			ref.Version, ref.Alias = n, ""
		}
	}
	if err := ref.check(); err != nil {
		return Ref{}, err
	}
	return ref, nil
}

// String spells the reference as ParseRef reads it.
func (ref Ref) String() string {
	if ref.Version != 0 {
		return ref.Name + "@" + strconv.Itoa(ref.Version)
	}
	return ref.Name + "@" + ref.Alias
}

func (ref Ref) check() error {
	if err := checkName(ref.Name); err != nil {
		return err
	}
	if ref.Version != 0 {
		return checkVersion(ref.Version)
	}
	return checkAlias(ref.Alias)
}

func checkName(name string) error {
	if err := models.ValidName(name); err != nil {
		return fmt.Errorf("%w: model %.80q: %w", ErrReference, name, err)
	}
	return nil
}

func checkVersion(n int) error {
	if n < 1 || n > maxVersion {
		return fmt.Errorf("%w: version %d: versions count from 1", ErrReference, n)
	}
	return nil
}

// checkAlias holds aliases to the form of model names and apart from versions.
func checkAlias(alias string) error {
	if n, ok := parseVersionName(alias); ok {
		return fmt.Errorf("%w: alias %q: write @%d for version %d", ErrReference, alias, n, n)
	}
	if err := models.ValidName(alias); err != nil {
		return fmt.Errorf("%w: alias %.80q: %w: after the @ stands a version, counted from 1, or an alias", ErrReference, alias, err)
	}
	return nil
}
