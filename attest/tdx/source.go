package tdx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Source is one place that collateral comes from. It is not trusted.
type Source interface {
	// Collateral returns what the source has for the quote's platform. The caller
	// authenticates it.
	Collateral(ctx context.Context, q *Quote) (*Collateral, error)
	// String returns the name of the source for people, such as "Intel PCS".
	String() string
}

var (
	_ Source = (*service)(nil)
	_ Source = (*file)(nil)
)

// sourceTimeout bounds one source, so that a silent one leaves time for the next.
const sourceTimeout = 20 * time.Second

// Find asks the sources in order, and returns the first collateral that is Intel's, for the
// quote's platform, complete and in date. Otherwise it returns the first that lacks only the
// last two, so that a level is known and the policy decides. Nil roots mean [BuiltinRoots].
//
// The error wraps [ErrNoCollateral] and names each source with its failure, and wraps the
// context's error if ctx ends first.
func Find(ctx context.Context, sources []Source, q *Quote, roots *Roots, now time.Time) (*Collateral, error) {
	if roots == nil {
		roots = BuiltinRoots()
	}
	var second *Collateral
	var failed []string
	for _, source := range sources {
		c, err := ask(ctx, source, q, roots)
		switch {
		case err != nil:
			failed = append(failed, fmt.Sprintf("%s: %v", source, err))
		case c.usable(now):
			return c, nil
		case second == nil:
			second = c
		}
		if err := ctx.Err(); err != nil && second == nil {
			return nil, fmt.Errorf("%w: %w; %s", ErrNoCollateral, err, strings.Join(failed, "; "))
		}
	}
	if second != nil {
		return second, nil
	}
	if failed == nil {
		failed = []string{"there are no sources"}
	}
	return nil, fmt.Errorf("%w: %s", ErrNoCollateral, strings.Join(failed, "; "))
}

func ask(ctx context.Context, source Source, q *Quote, roots *Roots) (*Collateral, error) {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	c, err := source.Collateral(ctx, q)
	if err == nil && c == nil {
		err = errEmptyCollateral
	}
	if err == nil {
		err = c.Authenticate(q, roots)
	}
	return c, err
}

// file is collateral that is at hand.
type file struct {
	name  string
	parse func() (*Collateral, error)
}

// NewFileSource returns a source for the content of a file: see [ParseCollateral]. A malformed
// file is an error of this source only.
func NewFileSource(name string, text []byte) Source {
	c, err := ParseCollateral(text)
	return &file{name, func() (*Collateral, error) { return c, err }}
}

// NewUnusableFileSource returns a source that always fails with cause. It stands for a file
// that could not be read.
func NewUnusableFileSource(name string, cause error) Source {
	if cause == nil {
		cause = errors.New("it cannot be used")
	}
	return &file{name, func() (*Collateral, error) { return nil, cause }}
}

// Collateral implements [Source].
func (f *file) Collateral(context.Context, *Quote) (*Collateral, error) { return f.parse() }

// String implements [Source].
func (f *file) String() string { return f.name }
