package serve

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/registry"
	tables "propensity/models/stream"
	"propensity/serve/jobs"
	"propensity/serve/ledger"
)

// Jobs read and write files, and hand out scores of whole tables: they are for admin.
func (s *Server) jobRoutes(e *gin.Engine) {
	admin := s.allow(scopeAdmin)
	e.GET("/v1/jobs", admin, s.needJobs, s.listJobs)
	e.POST("/v1/jobs", admin, s.needJobs, s.idempotent(s.cfg.MaxBody), s.addJob)
	e.GET("/v1/jobs/:id", admin, s.needJobs, s.getJob)
	e.DELETE("/v1/jobs/:id", admin, s.needJobs, s.cancelJob)
}

// openJobs takes up the jobs of the directory, if there is one.
func (s *Server) openJobs(ctx context.Context) error {
	if s.cfg.JobsDir == "" {
		return nil
	}
	cfg := jobs.Config{Dir: s.cfg.JobsDir, Logger: s.log, Load: s.loadForJob, Given: s.giveTable, KeepRows: s.ledger != nil && !s.cfg.LedgerNoRows}
	if s.accounts != nil {
		cfg.Accounts = s.openAccounts
	}
	r, err := jobs.Open(cfg)
	if err != nil {
		return err
	}
	s.jobs = r
	s.background.Go(func() {
		r.Run(ctx)
		if err := r.Close(); err != nil {
			s.log.Error("jobs", "error", err)
		}
	})
	return nil
}

// loadForJob gives a version as it was pinned.
func (s *Server) loadForJob(model string, version int) (*models.Scorer, error) {
	scorer, _, err := s.cfg.Registry.Load(registry.Ref{Name: model, Version: version})
	return scorer, err
}

// giveTable puts the scores that a job hands out into the ledger: those of a table without
// their rows, which the table has.
func (s *Server) giveTable(ctx context.Context, j *jobs.Job, t *datasets.Table) error {
	account := t.Column("account")
	if s.ledger == nil || account == nil {
		return nil
	}
	v, err := s.version(ctx, fmt.Sprintf("%s@%d", j.Spec.Model, j.Spec.Version))
	if err != nil {
		return err
	}
	number := func(name string, i int) float64 { return t.Column(name).At(i).Number }
	var waits tickets
	for i := range t.Rows() {
		score := ledger.Score{
			At: s.now(), Key: j.Key, Request: j.ID, Origin: ledger.OriginJob,
			Account: account.At(i).Text, Model: v.name, Version: v.number, Hash: v.hash, AsOf: t.Column("as_of").At(i).Time,
			Columns: v.columns.names, Kinds: v.columns.kinds, Horizon: v.columns.horizon,
			Probability: number("probability", i), Raw: number("raw", i), Score: int(number("score", i)), Percentile: number("percentile", i), Band: t.Column("band").At(i).Text,
		}
		for k := 1; ; k++ {
			name := fmt.Sprintf("reason_%d", k)
			c := t.Column(name)
			if c == nil || c.At(i).Missing() {
				break
			}
			score.Reasons = append(score.Reasons, models.Reason{Feature: t.Column(name + "_feature").At(i).Text, Points: number(name+"_points", i), Text: c.At(i).Text})
		}
		score.Row = keptRow(v, t, i)
		if err := waits.add(s.ledger.RecordMany(ctx, &score)); err != nil {
			return err
		}
	}
	return waits.wait()
}

// keptRow is the row of a score, if it is there.
func keptRow(v *version, t *datasets.Table, i int) []datasets.Value {
	var row []datasets.Value
	e := v.scorer.Encoder()
	for j := range e.Columns {
		if c := t.Column(jobs.RowPrefix + e.Columns[j].Name); c != nil {
			if row == nil {
				row = make([]datasets.Value, len(e.Columns))
			}
			row[j] = liveValue(&e.Columns[j], c.At(i))
		}
	}
	return row
}

// needJobs is before the endpoints of jobs.
func (s *Server) needJobs(c *gin.Context) {
	if s.jobs == nil {
		s.fail(c, refuse(http.StatusNotImplemented, "this server does no jobs: start it with --jobs-dir and the directory of their files"))
	}
}

// jobAnswer is a job as it is shown.
type jobAnswer struct {
	ID      string             `json:"id"`
	State   jobs.State         `json:"state"`
	Model   string             `json:"model"`
	Version int                `json:"version"`
	In      string             `json:"in,omitempty"`
	From    string             `json:"from,omitempty"`
	AsOf    string             `json:"as_of"`
	Out     string             `json:"out,omitempty"`
	Rows    int                `json:"rows"` // scored so far
	Skipped *jobs.Skipped      `json:"skipped,omitempty"`
	Added   string             `json:"added"`
	Started string             `json:"started,omitempty"`
	Ended   string             `json:"ended,omitempty"`
	Cause   string             `json:"cause,omitempty"`
	Changes *tables.Comparison `json:"changes,omitempty"`
}

func jobOf(j *jobs.Job) jobAnswer {
	a := jobAnswer{
		ID: j.ID, State: j.State, Model: j.Spec.Model, Version: j.Spec.Version, In: j.Spec.In, From: j.Spec.From, AsOf: datasets.FormatTime(j.Spec.AsOf), Out: j.Spec.Out, Rows: j.Rows,
		Skipped: j.Skipped, Added: datasets.FormatTime(j.Added), Cause: j.Cause, Changes: j.Changes,
	}
	if j.Started != 0 {
		a.Started = datasets.FormatTime(j.Started)
	}
	if j.Ended != 0 {
		a.Ended = datasets.FormatTime(j.Ended)
	}
	return a
}

// jobList is the answer of GET /v1/jobs.
type jobList struct {
	Jobs []jobAnswer `json:"jobs"`
}

func (s *Server) listJobs(c *gin.Context) {
	out := jobList{Jobs: []jobAnswer{}}
	for _, j := range s.jobs.List() {
		out.Jobs = append(out.Jobs, jobOf(&j))
	}
	s.readJSON(c, out)
}

func (s *Server) getJob(c *gin.Context) {
	j, err := s.jobs.Get(c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.readJSON(c, jobOf(&j))
}

// jobRequest is what a job is to do.
type jobRequest struct {
	Model        string      `json:"model"`
	In           string      `json:"in"`
	From         *string     `json:"from"`
	Out          string      `json:"out"`
	Reasons      *int        `json:"reasons"`
	AsOf         string      `json:"as_of"`
	AllowMissing bool        `json:"allow_missing"`
	Account      string      `json:"account"`
	Last         string      `json:"last"`
	ChangedOnly  bool        `json:"changed_only"`
	ChangedBy    float64     `json:"changed_by"`
	DryRun       bool        `json:"dry_run"`
	Force        bool        `json:"force"`
	MaxChanged   *float64    `json:"max_changed"`
	MaxShift     *float64    `json:"max_shift"`
	CRM          *crmRequest `json:"crm"`
}

type crmRequest struct {
	Kind   string            `json:"kind"`
	ID     string            `json:"id"`
	Fields []crmFieldRequest `json:"fields"`
}

type crmFieldRequest struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func (s *Server) addJob(c *gin.Context) {
	var q jobRequest
	err := s.readObject(c, &q)
	var spec jobs.Spec
	if err == nil {
		spec, err = s.jobSpec(c, &q)
	}
	var j jobs.Job
	if err == nil {
		j, err = s.jobs.Add(caller(c), spec)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.audit(c, "jobs.add", fmt.Sprintf("%s by %s@%d", j.ID, spec.Model, spec.Version))
	c.Header("Location", "/v1/jobs/"+j.ID)
	writeJSON(c, http.StatusAccepted, "application/json", jobOf(&j))
}

// jobSpec pins the version, and fills in what the request leaves open.
func (s *Server) jobSpec(c *gin.Context, q *jobRequest) (jobs.Spec, error) {
	v, err := s.oneVersion(c, q.Model)
	if err != nil {
		return jobs.Spec{}, err
	}
	from := ""
	if q.From != nil {
		if from = *q.From; from != jobs.FromStore {
			return jobs.Spec{}, wrong("from", "from is store, for all accounts of the store of facts, or left out")
		}
		if s.accounts == nil {
			return jobs.Spec{}, errNoStore()
		}
		if err := v.live.forJobs(v.scorer.Artifact().Manifest.Name); err != nil {
			return jobs.Spec{}, err
		}
	}
	spec := jobs.Spec{
		Model: v.name, Version: v.number, In: q.In, From: from, Out: q.Out, Reasons: defaultReasons, AsOf: s.now(), AllowMissing: q.AllowMissing, Account: q.Account,
		Last: q.Last, ChangedOnly: q.ChangedOnly, ChangedBy: q.ChangedBy, DryRun: q.DryRun,
	}
	if q.Reasons != nil {
		spec.Reasons = *q.Reasons
	}
	if q.AsOf != "" {
		at, err := time.Parse(time.RFC3339Nano, q.AsOf)
		if err != nil {
			return spec, wrong("as_of", "as_of must be a time such as 2026-03-01T09:30:00Z (RFC 3339)")
		}
		if from != "" && at.UnixMicro() > spec.AsOf {
			return spec, wrong("as_of", "as_of must not be in the future: the facts that come until then would count for some accounts, and for others not")
		}
		spec.AsOf = at.UnixMicro()
	}
	if q.Last != "" && !q.Force {
		limits := tables.DefaultLimits()
		spec.Limits = &limits
		if q.MaxChanged != nil {
			spec.Limits.Changed = *q.MaxChanged
		}
		if q.MaxShift != nil {
			spec.Limits.Shift = *q.MaxShift
		}
	} else if q.MaxChanged != nil || q.MaxShift != nil {
		return spec, wrong("max_changed", "max_changed and max_shift are for scores held against last, without force")
	}
	if q.CRM != nil {
		spec.CRM = &tables.CRM{Kind: q.CRM.Kind, ID: q.CRM.ID}
		for _, f := range q.CRM.Fields {
			spec.CRM.Fields = append(spec.CRM.Fields, tables.CRMField(f))
		}
	}
	return spec, nil
}

func (s *Server) cancelJob(c *gin.Context) {
	j, err := s.jobs.Cancel(c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.audit(c, "jobs.cancel", j.ID)
	writeJSON(c, http.StatusOK, "application/json", jobOf(&j))
}
