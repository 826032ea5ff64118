// Command propensity trains scoring models from a table of history, keeps them
// in a registry, and serves their probabilities with reasons.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones, for machines and containers that have none

	"github.com/spf13/cobra"

	"propensity/features/spec"
	"propensity/models/registry"
	"propensity/train"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes, the same for every command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // the command was used wrongly
	exitNo     = 3 // a gate or check said no
)

const (
	defaultRegistry = "registry"
	defaultConfig   = "propensity.yaml"
)

// errUsage is wrapped by errors of how a command was called, errNo by those of a
// gate or check that said no: not a failure, but nothing was promoted either.
var (
	errUsage = errors.New("usage")
	errNo    = errors.New("no")
)

// run is the program: main and the tests call it alike.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	results := &results{out: stdout}
	a := &app{stdin: stdin, stdout: results, stderr: stderr}
	root := a.command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(results)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if results.err != nil && (err == nil || errors.Is(err, errNo)) {
		err = fmt.Errorf("what was to be shown could not be written: %w", results.err)
	}
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errNo):
		a.say("%v", message(err))
		return exitNo
	case ctx.Err() != nil:
		a.say("interrupted: nothing was left half-written")
		return exitFailed
	case errors.Is(err, errUsage), errors.Is(err, train.ErrSpec), errors.Is(err, spec.ErrProject), errors.Is(err, registry.ErrReference):
		fmt.Fprintf(stderr, "Error: %v\n", message(err))
		return exitUsage
	default:
		fmt.Fprintf(stderr, "Error: %v\n", message(err))
		return exitFailed
	}
}

// app is what every command shares.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	registry       string
	config         string
	seed           uint64
	json, quiet    bool
}

// command builds the tree of commands.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "propensity",
		Short: "Learn which accounts will convert, churn or buy more, and serve the answers with reasons",
		Long: `Learn from a table of history which accounts will convert, churn or buy more,
keep each version in a registry, and serve probabilities with reasons.

Results go to stdout, everything else to stderr.
Exit codes: 0 done, 1 failed, 2 used wrongly, 3 a gate or check said no.`,
		Example: `  propensity demo
  propensity doctor --data telco.csv --id customerID --label Churn=Yes
  propensity train churn --data telco.csv --id customerID --label Churn=Yes
  propensity score churn@champion --in accounts.csv --out scores.csv
  propensity serve`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if info, err := os.Stat(a.registry); err == nil && !info.IsDir() {
				return fmt.Errorf("%w: --registry %s is a file; name a directory", errUsage, a.registry)
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: %w; see %s --help", errUsage, err, c.CommandPath())
	})
	f := root.PersistentFlags()
	f.StringVar(&a.registry, "registry", defaultRegistry, "`directory` of models")
	f.StringVar(&a.config, "config", defaultConfig, "project `file`")
	f.Uint64Var(&a.seed, "seed", 1, "seed of everything random")
	f.BoolVar(&a.json, "json", false, "results as JSON, for machines")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "no progress and no notes")
	root.AddCommand(a.demoCommand(), a.initCommand(), a.doctorCommand(), a.featuresCommand(), a.loadCommand(), a.trainCommand(), a.evaluateCommand(), a.scoreCommand(), a.explainCommand(), a.convertCommand(), a.modelsCommand(), a.reportCommand(), a.serveCommand(), a.ledgerCommand(), a.forgetCommand(), a.keysCommand(), a.monitorCommand())
	usageArgs(root)
	return root
}

// usageArgs makes a wrong number of arguments a usage error.
func usageArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return fmt.Errorf("%w: %w; see %s --help", errUsage, err, c.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		usageArgs(sub)
	}
}

// message is an error's text without the marker of its kind.
func message(err error) string {
	s := err.Error()
	for _, kind := range []error{errUsage, errNo} {
		if prefix := kind.Error() + ": "; errors.Is(err, kind) && len(s) > len(prefix) && s[:len(prefix)] == prefix {
			return s[len(prefix):]
		}
	}
	return s
}
