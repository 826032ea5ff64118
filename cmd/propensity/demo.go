package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/models/registry"
)

// demoProject is the project file that the demo writes, trains from and leaves
// as a pattern for one's own.
const demoProject = `# The models of a simulated company; train them again with: propensity train
version: 1
account: account_id
models:
  conversion:
    data: conversion.csv
    time: moment
    label: {column: converted, within_days: 14}
    value: mrr
  churn:
    data: churn.csv
    time: moment
    label: {column: churned, within_days: 90}
    value: mrr
  upsell:
    data: upsell.csv
    time: moment
    label: {column: upsold, within_days: 90}
    value: mrr
`

func (a *app) demoCommand() *cobra.Command {
	var o sample.Options
	var out, addr string
	var noServe, raw bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "See it work: simulate a company, train three models, serve them",
		Long: `Simulates a software company with a known truth, writes its files, trains trial
conversion, churn and upsell, publishes them, scores accounts over HTTP and goes on
serving. Nothing of the company is real. Run it again and the models are trained
anew against their champions.

With --raw it writes what such a company would export, its truth and a project file,
and stops; however many events there are, memory holds those of one month.`,
		Example: `  propensity demo
  propensity demo --out /tmp/demo --no-serve
  propensity demo --raw --events 10000000`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Seed = a.seed
			if o.Accounts < 1 || o.Events < 0 {
				return fmt.Errorf("%w: --accounts is at least 1, --events at least 0", errUsage)
			}
			if raw {
				return a.exportDemo(o, out)
			}
			return a.demo(c.Context(), o, out, addr, noServe)
		},
	}
	c.Flags().StringVar(&out, "out", "propensity-demo", "`directory` to write to")
	c.Flags().StringVar(&addr, "addr", "127.0.0.1:8080", "`host:port` to serve on")
	c.Flags().BoolVar(&noServe, "no-serve", false, "stop after the first scores")
	c.Flags().IntVar(&o.Accounts, "accounts", 8000, "`number` of accounts that sign up")
	c.Flags().IntVar(&o.Events, "events", 0, "about so many `events`, filled up with page views (default: some 150 an account, without)")
	c.Flags().BoolVar(&raw, "raw", false, "write the raw files, the truth and a project file, and stop")
	return c
}

// exportDemo writes the raw files of a company alone.
func (a *app) exportDemo(o sample.Options, out string) error {
	n, err := sample.Export(o, out)
	if err != nil {
		return err
	}
	a.print("A simulated software company, %d accounts, %d events; its files are in %s. No account in it is real.", o.Accounts, n, out)
	a.print("next: propensity features build --config %s --as-of %s", filepath.Join(out, "propensity.yaml"), datasets.FormatTime(sample.AsOf)[:len("2006-01-02")])
	return nil
}

func (a *app) demo(ctx context.Context, o sample.Options, out, addr string, noServe bool) error {
	company := sample.Simulate(o)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := company.Write(out); err != nil {
		return err
	}
	for name, b := range map[string][]byte{"propensity.yaml": []byte(demoProject), "telco.csv": sample.Telco()} {
		if err := os.WriteFile(filepath.Join(out, name), b, 0o644); err != nil {
			return err
		}
	}
	a.config, a.registry = filepath.Join(out, "propensity.yaml"), filepath.Join(out, "registry")
	a.print("A simulated software company, %d accounts; its files are in %s. No account in it is real.", company.Accounts.Rows(), out)
	sources, err := a.fromProject(nil)
	if err != nil {
		return err
	}
	if err := a.trainAll(ctx, sources); err != nil && !errors.Is(err, errNo) {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	ready := func(addr string) {
		if failed = a.tryOut(ctx, "http://"+addr, company.Churn, noServe); failed != nil || noServe {
			stop()
			return
		}
		a.print("\nServing on http://%s until Ctrl-C.", addr)
	}
	if noServe {
		addr = "127.0.0.1:0"
	}
	a.quiet = true // the server's log would drown what the demo says
	err = a.serve(ctx, addr, "", time.Second, ready)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: something else listens there; choose another with --addr 127.0.0.1:8081", err)
	}
	if failed != nil {
		return failed
	}
	return err
}

// tryOut scores a few accounts over HTTP and says how to go on.
func (a *app) tryOut(ctx context.Context, url string, t *datasets.Table, over bool) error {
	if err := awaitReady(ctx, url+"/readyz"); err != nil {
		return err
	}
	name, err := a.scoring("churn")
	if err != nil {
		return err
	}
	endpoint := url + "/v1/models/" + name + "/score"
	a.print("\nA few accounts, as a CRM would ask:")
	var body []byte
	for _, i := range []int{t.Rows() - 1, t.Rows() / 2, fading(t)} {
		var err error
		if body, err = request(t, i); err != nil {
			return err
		}
		answer, err := post(ctx, endpoint, body)
		if err != nil {
			return err
		}
		a.print("%s", answer)
	}
	dir := filepath.Dir(a.config)
	if err := os.WriteFile(filepath.Join(dir, "request.json"), body, 0o644); err != nil {
		return err
	}
	a.print("\nTry it yourself (propensity is this program: go build -o propensity ./cmd/propensity):")
	if over { // the server of this run is gone when the reader gets here
		url = "http://127.0.0.1:8080"
		a.print("  propensity serve --registry %s", a.registry)
	}
	a.print(`  curl -s %[1]s/v1/models
  curl -s -H 'Content-Type: application/json' -d @%[2]s %[1]s/v1/models/%[6]s/score
  propensity score %[6]s --registry %[3]s --in %[4]s --out scores.csv
  propensity models list --registry %[3]s

With your own data, a table with a row per account and a column of what happened:
  propensity train churn --data your.csv --id account_id --label churned=true
A real one to start with (IBM's telco table of fictional customers): %[5]s
  propensity train telco --data %[5]s --id customerID --label Churn=Yes`,
		url, filepath.Join(dir, "request.json"), a.registry, filepath.Join(dir, "churn.csv"), filepath.Join(dir, "telco.csv"), name)
	return nil
}

// scoring is how to name a model that is to score: by itself if it has a champion,
// else, where the gate refused it, by its newest version.
func (a *app) scoring(name string) (string, error) {
	_, err := a.open().Resolve(registry.Ref{Name: name, Alias: registry.Champion})
	if !errors.Is(err, registry.ErrNotFound) {
		return name, err
	}
	versions, err := a.open().Versions(name)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s@%d", name, versions[len(versions)-1].Number), nil
}

// awaitReady waits until the server has loaded every champion.
func awaitReady(ctx context.Context, url string) error {
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	for {
		status, body, err := ask(ctx, http.MethodGet, url, nil)
		if err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server did not become ready: %s%w", body, errors.Join(err, ctx.Err()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// fading is the row whose logins fell most: one that people would want to look at.
func fading(t *datasets.Table) int {
	worst, trend := 0, t.Column("logins_28d_trend").Numbers
	for i, x := range trend {
		if x < trend[worst] {
			worst = i
		}
	}
	return worst
}

// request is the JSON body that scores row i of the churn table.
func request(t *datasets.Table, i int) ([]byte, error) {
	var r struct {
		Account string                    `json:"account"`
		Row     map[string]datasets.Value `json:"row"`
		AsOf    string                    `json:"as_of"`
		Reasons int                       `json:"reasons"`
	}
	r.Row, r.Reasons = map[string]datasets.Value{}, 3
	for k := range t.Columns {
		switch c := &t.Columns[k]; c.Name {
		case "account_id":
			r.Account = c.At(i).String()
		case "moment":
			r.AsOf = c.At(i).String()
		case "churned":
		default:
			r.Row[c.Name] = c.At(i)
		}
	}
	return json.MarshalIndent(r, "", "  ")
}

// post sends a request and gives the indented answer.
func post(ctx context.Context, url string, body []byte) (string, error) {
	status, b, err := ask(ctx, http.MethodPost, url, body)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("%s: %d %s", url, status, b)
	}
	var out bytes.Buffer
	err = json.Indent(&out, b, "", "  ")
	return out.String(), err
}

func ask(ctx context.Context, method, url string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}
