package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/stream"
)

// Run does the jobs in the order in which they were added, until ctx is done; a job that
// is under way then goes on when Run is called again, also by another process.
func (r *Runner) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		for ctx.Err() == nil {
			j, one := r.next(ctx)
			if j == nil {
				break
			}
			r.end(ctx, j, r.persist(one, j))
		}
	}
}

// next takes the first job that has not ended.
func (r *Runner) next(ctx context.Context) (*Job, context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.jobs, func(j *Job) bool { return !j.State.ended() })
	if i < 0 {
		return nil, nil
	}
	r.current = r.jobs[i]
	one, cancel := context.WithCancel(ctx)
	r.cancel = cancel
	return r.current, one
}

// end notes how a job has ended. One that was cut off by the end of Run has not.
func (r *Runner) end(ctx context.Context, j *Job, err error) {
	r.cancel()
	r.mu.Lock()
	r.current = nil
	cancelled := j.State == Cancelled
	r.mu.Unlock()
	switch {
	case cancelled:
		r.forget(j)
		return
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return
	}
	state, cause := Done, ""
	if err != nil {
		state, cause = Failed, r.told(err)
		if errors.Is(err, stream.ErrJump) {
			state = Stopped
		}
		r.cfg.Logger.Error("job", "job", j.ID, "model", j.Spec.Model, "state", state, "error", err)
	} else {
		r.cfg.Logger.Info("job", "job", j.ID, "model", j.Spec.Model, "version", j.Spec.Version, "rows", j.Rows)
	}
	if err := r.update(j, func(j *Job) { j.State, j.Cause, j.Ended = state, cause, time.Now().UnixMicro() }); err != nil {
		r.cfg.Logger.Error("the end of a job cannot be kept", "job", j.ID, "error", err)
		return // its pieces tell as much
	}
	r.forget(j)
}

// told is an error without the place of the directory.
func (r *Runner) told(err error) string {
	return strings.ReplaceAll(err.Error(), r.cfg.Dir+string(filepath.Separator), "")
}

func (r *Runner) at(path string) string { return filepath.Join(r.cfg.Dir, path) }

// lastRetry bounds what is waited before a job is tried again.
const lastRetry = 30 * time.Second

// persist does a job. One whose store does not answer goes on from its last piece once the
// store answers, unless for so long nothing has been scored that it fails.
func (r *Runner) persist(ctx context.Context, j *Job) error {
	wait, scored, since := r.cfg.firstRetry, -1, time.Now()
	for {
		err := r.do(ctx, j)
		if !errors.Is(err, ErrAway) {
			return err
		}
		if ctx.Err() != nil { // which is why it did not answer
			return ctx.Err()
		}
		if j.Rows > scored {
			wait, scored, since = r.cfg.firstRetry, j.Rows, time.Now()
		} else if time.Since(since) > r.cfg.patience {
			return err
		}
		r.cfg.Logger.Warn("job waits", "job", j.ID, "model", j.Spec.Model, "rows", j.Rows, "error", err)
		if err := r.update(j, func(j *Job) {
			if !j.State.ended() {
				j.Cause = r.told(err)
			}
		}); err != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, lastRetry)
	}
}

// do scores what is not scored yet, and puts the pieces together.
func (r *Runner) do(ctx context.Context, j *Job) error {
	scorer, err := r.cfg.Load(j.Spec.Model, j.Spec.Version)
	if err != nil {
		return err
	}
	again := j.State == Finishing
	if !again {
		if err := r.score(ctx, j, scorer); err != nil {
			return err
		}
		if err := r.update(j, func(j *Job) {
			if j.State != Cancelled {
				j.State, j.Cause = Finishing, ""
			}
		}); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return r.finish(ctx, j, scorer, again)
}

// pieces are the whole ones on disk, in order, with the rows in them.
func (r *Runner) pieces(j *Job) (names []string, rows int, err error) {
	dir := filepath.Join(folder, j.ID)
	entries, err := fs.ReadDir(r.root.FS(), filepath.ToSlash(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, r.root.Mkdir(dir, 0o755)
	}
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries { // by name: a piece, then where it ends
		var k, n int
		if len(names) > 0 && e.Name() == placeName(len(names)-1) {
			continue
		}
		if _, err := fmt.Sscanf(e.Name(), "%d-%d.arrow", &k, &n); err != nil || e.Name() != pieceName(k, n) {
			if err := r.root.RemoveAll(filepath.Join(dir, e.Name())); err != nil { // half of one
				return nil, 0, err
			}
			continue
		}
		if k != len(names) {
			return nil, 0, fmt.Errorf("piece %d is missing", len(names))
		}
		names, rows = append(names, filepath.Join(dir, e.Name())), rows+n
	}
	return names, rows, nil
}

func pieceName(k, rows int) string { return fmt.Sprintf("%06d-%d.arrow", k, rows) }

// score scores the rows that are in no piece yet.
func (r *Runner) score(ctx context.Context, j *Job, scorer *models.Scorer) error {
	pieces, had, err := r.pieces(j)
	if err != nil {
		return err
	}
	if j.Spec.From != "" {
		return r.scoreStore(ctx, j, scorer, len(pieces), had)
	}
	info, err := r.root.Stat(j.Spec.In)
	if err != nil {
		return err
	}
	input := fmt.Sprintf("%d bytes of %s", info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))
	if j.Input != "" && j.Input != input {
		return fmt.Errorf("%s has changed since the job was begun: add the job anew", j.Spec.In)
	}
	if err := r.begin(j, input, had); err != nil {
		return err
	}
	o := optionsOf(&j.Spec)
	in, err := datasets.Open(r.at(j.Spec.In), datasets.ReadOptions{Kinds: stream.Kinds(scorer, o)})
	if err != nil {
		return err
	}
	defer in.Close()
	batches, err := stream.NewBatches(scorer, in.Columns(), o)
	if err != nil {
		return err
	}
	for skipped := 0; skipped < had; {
		t, err := in.Next()
		if err != nil {
			return fmt.Errorf("%s ends before what was scored of it: %w", j.Spec.In, err)
		}
		if skipped += t.Rows(); skipped > had {
			return fmt.Errorf("%s is read in other batches than before: add the job anew", j.Spec.In)
		}
	}
	batches.Skip(had)
	return r.piecesOf(ctx, j, in, batches, len(pieces))
}

// begin notes that a job is under way, with so many rows on disk.
func (r *Runner) begin(j *Job, input string, had int) error {
	return r.update(j, func(j *Job) {
		if j.Input, j.Rows = input, had; j.State == Queued {
			j.State, j.Started = Running, time.Now().UnixMicro()
		}
	})
}

func optionsOf(s *Spec) stream.Options {
	return stream.Options{Model: s.Model, Version: s.Version, Reasons: s.Reasons, AsOf: s.AsOf, AllowMissing: s.AllowMissing, Account: s.Account}
}

// piecesOf scores the rest of a table, piece by piece.
func (r *Runner) piecesOf(ctx context.Context, j *Job, in stream.Source, batches *stream.Batches, k int) error {
	for last := false; !last; k++ {
		tmp := r.at(filepath.Join(folder, j.ID, "piece.tmp.arrow"))
		out, err := datasets.Create(tmp, datasets.WriteOptions{Format: datasets.ArrowFile})
		if err != nil {
			return err
		}
		rows, err := r.piece(ctx, j, in, batches, out, k == 0)
		if last = errors.Is(err, io.EOF); err != nil && !last {
			out.Abort()
			return err
		}
		if last && rows == 0 && k > 0 {
			out.Abort()
			r.count(j, in, 0)
			return nil
		}
		if err := errors.Join(out.Commit(), r.mark(j, in, k)); err != nil {
			return err
		}
		dir := filepath.Join(folder, j.ID)
		if err := r.root.Rename(filepath.Join(dir, "piece.tmp.arrow"), filepath.Join(dir, pieceName(k, rows))); err != nil {
			return err
		}
		r.count(j, in, rows)
	}
	return nil
}

// piece scores at least PieceRows rows; io.EOF says that there are no more. The first
// piece has its columns even without a row.
func (r *Runner) piece(ctx context.Context, j *Job, in stream.Source, batches *stream.Batches, out stream.Sink, first bool) (rows int, err error) {
	for rows < r.cfg.PieceRows {
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		t, err := in.Next()
		if err == io.EOF && rows == 0 && first {
			none, fault := batches.None()
			if fault == nil {
				none.Columns = append(none.Columns, datasets.Column{Name: raw, Kind: datasets.Number, Numbers: []float64{}})
				fault = out.Write(none)
			}
			if fault != nil {
				return 0, fault
			}
		}
		if err != nil {
			return rows, err
		}
		b, err := batches.Score(t)
		if err != nil {
			return rows, err
		}
		b.Scored.Columns = append(b.Scored.Columns, datasets.Column{Name: raw, Kind: datasets.Number, Numbers: b.Answers.Raw})
		if j.Spec.From != "" && r.cfg.KeepRows {
			withRow(b.Scored, b.Rows)
		}
		if err := out.Write(b.Scored); err != nil {
			return rows, err
		}
		rows += t.Rows()
	}
	return rows, nil
}

// finish holds the scores against the last ones, and puts the pieces together into the
// output; again says that a kill may have left it behind.
func (r *Runner) finish(ctx context.Context, j *Job, scorer *models.Scorer, again bool) error {
	pieces, had, err := r.pieces(j)
	if err != nil {
		return err
	}
	var last *stream.Last
	if j.Spec.Last != "" {
		if last, err = r.compare(ctx, j, scorer, pieces); err != nil {
			return err
		}
	}
	if j.Spec.DryRun {
		return nil
	}
	out, err := r.output(j, again)
	if err != nil {
		return err
	}
	var rows stream.Sink = stream.Both{withoutMore{out}, telling{ctx, r, j}}
	if j.Spec.ChangedOnly {
		rows = stream.NewChanges(last, nil, j.Spec.ChangedBy, rows)
	}
	if err = r.eachPiece(ctx, pieces, rows); err == nil && had == 0 {
		err = r.columnsAlone(j, scorer, pieces, out)
	}
	if err != nil {
		out.Abort()
		return err
	}
	return out.Commit()
}

// columnsAlone writes the output of no rows.
func (r *Runner) columnsAlone(j *Job, scorer *models.Scorer, pieces []string, out stream.Sink) error {
	in, err := datasets.Open(r.at(pieces[0]), datasets.ReadOptions{})
	if err != nil {
		return err
	}
	defer in.Close()
	o, columns := optionsOf(&j.Spec), []string{}
	o.AllowMissing = true // of the columns only that of the account shows
	if slices.Contains(in.Columns(), "account") {
		o.Account, columns = "account", []string{"account"}
	}
	batches, err := stream.NewBatches(scorer, columns, o)
	if err != nil {
		return err
	}
	none, err := batches.None()
	if err != nil {
		return err
	}
	return out.Write(none)
}

// compare notes what has changed since the last run, which it gives. The error wraps
// stream.ErrJump if that is too much.
func (r *Runner) compare(ctx context.Context, j *Job, scorer *models.Scorer, pieces []string) (*stream.Last, error) {
	last, err := stream.ReadLast(r.at(j.Spec.Last), datasets.ReadOptions{})
	if err != nil {
		return nil, err
	}
	changes := stream.NewChanges(last, scorer.Artifact().Manifest.BandNames(), j.Spec.ChangedBy, nil)
	if err := r.eachPiece(ctx, pieces, changes); err != nil {
		return nil, err
	}
	c := changes.Comparison()
	r.mu.Lock()
	j.Changes = c
	r.mu.Unlock()
	if j.Spec.Limits != nil {
		if err := c.Check(*j.Spec.Limits); err != nil {
			return nil, fmt.Errorf("%w since %s: nothing was written", err, j.Spec.Last)
		}
	}
	return last, nil
}

func (r *Runner) eachPiece(ctx context.Context, pieces []string, rows stream.Sink) error {
	for _, name := range pieces {
		in, err := datasets.Open(r.at(name), datasets.ReadOptions{})
		if err != nil {
			return err
		}
		for err == nil {
			var t *datasets.Table
			if t, err = in.Next(); err == nil {
				err = errors.Join(ctx.Err(), rows.Write(t))
			}
		}
		if err := errors.Join(ignoreEOF(err), in.Close()); err != nil {
			return err
		}
	}
	return nil
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// output opens what a job writes.
func (r *Runner) output(j *Job, again bool) (stream.Output, error) {
	if j.Spec.CRM == nil {
		return datasets.Create(r.at(j.Spec.Out), datasets.WriteOptions{})
	}
	if again { // it was not there when the job was added
		if err := r.root.RemoveAll(j.Spec.Out); err != nil {
			return nil, err
		}
	}
	return stream.NewCRMFiles(r.at(j.Spec.Out), j.Spec.CRM)
}

// raw is a column that pieces have besides: log-odds before calibration.
const raw = "raw"

// withoutMore is a Sink that leaves out what is not part of the output.
type withoutMore struct{ out stream.Sink }

func (w withoutMore) Write(t *datasets.Table) error {
	plain := &datasets.Table{Notes: t.Notes}
	for i := range t.Columns {
		if name := t.Columns[i].Name; name != raw && !strings.HasPrefix(name, RowPrefix) {
			plain.Columns = append(plain.Columns, t.Columns[i])
		}
	}
	return w.out.Write(plain)
}

// telling is a Sink that tells of scores that are about to be handed out.
type telling struct {
	ctx context.Context
	r   *Runner
	j   *Job
}

func (t telling) Write(scores *datasets.Table) error {
	if t.r.cfg.Given == nil {
		return nil
	}
	return t.r.cfg.Given(t.ctx, t.j, scores)
}
