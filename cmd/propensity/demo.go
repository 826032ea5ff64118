package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/models/registry"
)

// demoTables is a project file over the finished tables, for those who have such.
const demoTables = `# The models of a simulated company, from finished tables; propensity.yaml makes them from
# raw files. Train them with: propensity train --config tables.yaml
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
		Long: `Simulates a software company with a known truth, writes its raw files, makes feature
tables of them, trains trial conversion, churn and upsell, publishes them, loads the
facts into a store, scores accounts over HTTP by their ids and goes on serving. Nothing of the company is real. Run it again and the models are trained
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
	if err := os.MkdirAll(out, 0o755); err != nil { // before the work of making what goes there
		return err
	}
	company := sample.Simulate(o)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := company.Write(out); err != nil {
		return err
	}
	for name, b := range map[string][]byte{"tables.yaml": []byte(demoTables), "telco.csv": sample.Telco()} {
		if err := os.WriteFile(filepath.Join(out, name), b, 0o644); err != nil {
			return err
		}
	}
	a.config, a.registry = filepath.Join(out, "propensity.yaml"), filepath.Join(out, "registry")
	a.print("A simulated software company, %d accounts; its files are in %s. No account in it is real.", company.Accounts.Rows(), out)
	sources, err := a.fromProject(nil)
	if err == nil {
		err = a.made(ctx, sources, build.Options{Out: filepath.Join(out, "features"), AsOf: sample.AsOf})
	}
	if err != nil {
		return err
	}
	if err := a.trainAll(ctx, sources); err != nil && !errors.Is(err, errNo) {
		return err
	}
	store := "sqlite:" + filepath.Join(out, "facts.db")
	if err := a.load(ctx, store, facts.ReadOptions{AsOf: sample.AsOf}); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	ready := func(addr string) {
		if failed = a.tryOut(ctx, "http://"+addr, company, noServe); failed != nil || noServe {
			stop()
			return
		}
		a.print("\nServing on http://%s until Ctrl-C.", addr)
	}
	if noServe {
		addr = "127.0.0.1:0"
	}
	a.quiet = true // the server's log would drown what the demo says
	err = a.serve(ctx, addr, store, time.Second, &serveParts{}, ready)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: something else listens there; choose another with --addr 127.0.0.1:8081", err)
	}
	if failed != nil {
		return failed
	}
	return err
}

// tryOut scores a few accounts over HTTP and says how to go on.
func (a *app) tryOut(ctx context.Context, url string, company *sample.Company, over bool) error {
	if err := awaitReady(ctx, url+"/readyz"); err != nil {
		return err
	}
	name, err := a.scoring("churn")
	if err != nil {
		return err
	}
	endpoint := url + "/v1/models/" + name + "/score"
	a.print("\nA few accounts, as a CRM would ask, by their ids alone; the server has their facts:")
	var body []byte
	accounts := worthALook(company)
	for _, account := range accounts {
		if body, err = json.MarshalIndent(map[string]any{"account": account, "as_of": datasets.FormatTime(sample.AsOf), "reasons": 3}, "", "  "); err != nil {
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
		a.print("  propensity serve --registry %s --store sqlite:%s", a.registry, filepath.Join(dir, "facts.db"))
	}
	a.print(`  curl -s %[1]s/v1/models
  curl -s -H 'Content-Type: application/json' -d @%[2]s %[1]s/v1/models/%[6]s/score
  propensity score %[6]s --registry %[3]s --config %[4]s --facts --out scores.csv
  propensity features show --config %[4]s --account %[7]s --at 2026-04-01 --model churn
  propensity models list --registry %[3]s

With your own files, raw or finished:
  propensity init your-events.parquet your-accounts.csv your-subscriptions.csv
  propensity train churn --data your.csv --id account_id --label churned=true
A real table to start with (IBM's telco table of fictional customers): %[5]s
  propensity train telco --data %[5]s --id customerID --label Churn=Yes`,
		url, filepath.Join(dir, "request.json"), a.registry, a.config, filepath.Join(dir, "telco.csv"), name, accounts[0])
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

// worthALook are three customers: the one whose logins had fallen most, the newest,
// and one in the middle.
func worthALook(c *sample.Company) []string {
	is := map[string]bool{}
	var customers []string
	for i := range c.Subscriptions.Rows() {
		if id := c.Subscriptions.Column("account_id").At(i).Text; c.Subscriptions.Column("ended_at").At(i).Missing() {
			is[id], customers = true, append(customers, id)
		}
	}
	worst, trend := "", math.Inf(1)
	for i, x := range c.Churn.Column("logins_28d_trend").Numbers {
		if id := c.Churn.Column("account_id").At(i).Text; x < trend && is[id] {
			worst, trend = id, x
		}
	}
	return []string{customers[len(customers)-1], customers[len(customers)/2], cmp.Or(worst, customers[0])}
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
