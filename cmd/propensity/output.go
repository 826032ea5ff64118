package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// say writes a line for people, to stderr.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// print writes a line of the result.
func (a *app) print(format string, args ...any) { fmt.Fprintf(a.stdout, format+"\n", args...) }

// results is stdout, with the first error of writing to it: a full disk is not
// to be taken for success.
type results struct {
	out io.Writer
	err error
}

func (r *results) Write(b []byte) (int, error) {
	n, err := r.out.Write(b)
	if r.err == nil {
		r.err = err
	}
	return n, err
}

// input is stdin until ctx is done: a read that waits for a person or another
// program would not notice.
func (a *app) input(ctx context.Context) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, a.stdin)
		w.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { r.CloseWithError(ctx.Err()) })
	return r
}

// printJSON writes the result for machines.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes aligned columns; the first row is the head.
func (a *app) table(rows [][]string) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	w.Flush()
	for line := range strings.Lines(b.String()) {
		a.print("%s", strings.TrimRight(line, " \n"))
	}
}

// version is that of the build, as the Go toolchain recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// stages shows progress: a bar per stage on a terminal, elsewhere a line when a
// stage ends, and one every ten seconds while it runs.
type stages struct {
	mu     sync.Mutex
	out    io.Writer
	bars   *mpb.Progress // nil where there is no terminal
	silent bool
	open   map[string]*stage
}

type stage struct {
	bar           *mpb.Bar
	start, spoken time.Time
	ended         bool
	endless       bool // counts towards no total
}

const speakEvery = 10 * time.Second

// progress starts a display; wait lets the last bars be drawn.
func (a *app) progress() (tick func(name string, done, total int), wait func()) {
	s := a.stages()
	return s.tick, s.wait
}

func (a *app) stages() *stages {
	s := &stages{out: a.stderr, silent: a.quiet, open: map[string]*stage{}}
	if f, ok := a.stderr.(*os.File); ok && !a.quiet && term.IsTerminal(int(f.Fd())) {
		s.bars = mpb.New(mpb.WithOutput(f), mpb.WithWidth(40), mpb.WithAutoRefresh())
	}
	return s
}

func (s *stages) tick(name string, done, total int) {
	if s.silent || total <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	st := s.open[name]
	if st == nil {
		st = &stage{start: now, spoken: now}
		if s.bars != nil {
			st.bar = s.bars.AddBar(int64(total),
				mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
				mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.Name(" "), decor.Elapsed(decor.ET_STYLE_GO, decor.WCSyncSpace)))
		}
		s.open[name] = st
	}
	if st.ended {
		return
	}
	st.ended = done >= total
	switch {
	case st.bar != nil:
		st.bar.SetTotal(int64(total), false)
		st.bar.SetCurrent(int64(done))
		if st.ended {
			st.bar.SetTotal(int64(total), true)
		}
	case st.ended:
		fmt.Fprintf(s.out, "%s: done in %s\n", name, now.Sub(st.start).Round(10*time.Millisecond))
	case now.Sub(st.spoken) >= speakEvery:
		st.spoken = now
		fmt.Fprintf(s.out, "%s: %d %%\n", name, 100*done/total)
	}
}

// count tells how many rows a stage has done whose end is not known.
func (s *stages) count(name string, rows int) {
	if s.silent {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	st := s.open[name]
	if st == nil {
		st = &stage{start: now, spoken: now, endless: true}
		if s.bars != nil {
			st.bar = s.bars.AddSpinner(0,
				mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
				mpb.AppendDecorators(decor.CurrentNoUnit("%d rows "), decor.Elapsed(decor.ET_STYLE_GO)))
		}
		s.open[name] = st
	}
	switch {
	case st.bar != nil:
		st.bar.SetCurrent(int64(rows))
	case now.Sub(st.spoken) >= speakEvery:
		st.spoken = now
		fmt.Fprintf(s.out, "%s: %d rows\n", name, rows)
	}
}

func (s *stages) wait() {
	if s.bars == nil {
		return
	}
	s.mu.Lock()
	for _, st := range s.open {
		switch {
		case st.endless:
			st.bar.SetTotal(-1, true) // what was counted is all
		case !st.ended:
			st.bar.Abort(false) // a stage that failed
		}
	}
	s.mu.Unlock()
	s.bars.Wait()
}
