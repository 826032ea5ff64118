package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"time"
)

// fuzzProof gives strangers' bytes to everything that reads them.
func fuzzProof() proof {
	return proof{
		name: "fuzz",
		what: "A fuzz target a case, for ten minutes (with --budget: five seconds): every decoder either reads what it is given or says what is wrong with it, and keeps its properties.",
		n:    1000, // or as many as there are
		run:  proveFuzz,
	}
}

func proveFuzz(ctx context.Context, r *run) error {
	targets, err := fuzzTargets(ctx)
	if err != nil {
		return err
	}
	r.n = min(r.n, len(targets))
	duration := 10 * time.Minute
	if r.budget > 0 {
		duration = 5 * time.Second
	}
	return r.each(ctx, func(ctx context.Context, i int, _ *rand.Rand) error {
		t := targets[i]
		fmt.Fprintf(r.log, "fuzz: %s %s\n", t[0], t[1])
		out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t[1]+"$", "-fuzztime", duration.String(), "-fuzzminimizetime", "20x", t[0]).CombinedOutput()
		// Until Go 1.27, fuzzing may fail by its own end, with no input to show for it
		// (golang/go#75804).
		if err != nil && (!bytes.Contains(out, []byte("\n    context deadline exceeded\n")) || bytes.Contains(out, []byte("Failing input"))) {
			return fmt.Errorf("%s %s: %w\n%s", t[0], t[1], err, out)
		}
		r.tally("targets")
		return nil
	})
}

// fuzzTargets are the packages and names of all fuzz targets, in order.
func fuzzTargets(ctx context.Context) (targets [][2]string, err error) {
	packages, err := exec.CommandContext(ctx, "go", "list", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for _, name := range strings.Fields(string(packages)) {
		list, err := exec.CommandContext(ctx, "go", "test", "-list", "^Fuzz", name).Output()
		if err != nil {
			return nil, fmt.Errorf("go test -list, %s: %w", name, err)
		}
		for _, target := range strings.Fields(string(list)) {
			if strings.HasPrefix(target, "Fuzz") {
				targets = append(targets, [2]string{name, target})
			}
		}
	}
	return targets, nil
}
