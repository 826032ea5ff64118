// Command bench proves and measures what the tests are too short for.
//
//	go run ./bench                                measure speed and memory
//	go run ./bench --peers --write                beside other libraries, into docs/BENCHMARKS.md
//	go run ./bench proofs                          list the proofs
//	go run ./bench proofs publish --budget 1m      run one
//	go run ./bench proofs publish --record         and write the result into docs/PROOFS.md
//	go run ./bench quality --data DIR             the learners beside other libraries
//	go run ./bench tour                           follow the README in an empty folder
//
// Run it from the top of the repository. Results go to stdout, progress to
// stderr. Exit 0 done, 1 failed, 2 used wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use: "bench", Short: "long proofs and measurements", SilenceErrors: true, SilenceUsage: true,
		Long: `Without a command: measures training, scoring, explaining and reading, and with
--peers other libraries beside them, in turn and on the same data. The times decide
nothing but the words ahead, tie and behind.`,
		Args: cobra.NoArgs,
	}
	benchmarkFlags(root)
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(measureCommand(), proofsCommand(), childCommand(), qualityCommand(), tourCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		if failed := (*failure)(nil); errors.As(err, &failed) {
			os.Exit(1)
		}
		os.Exit(2)
	}
}

// failure is an error of the work itself; any other is one of usage.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }
