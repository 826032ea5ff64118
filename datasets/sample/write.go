package sample

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"propensity/datasets"
)

//go:embed propensity.yaml
var project string

// Project is a project file for the raw files: three models like the finished tables,
// with features of all that the company knows.
func Project() []byte { return []byte(project) }

// file of a company.
type file struct {
	name  string
	table *datasets.Table
}

// tables are the files of the company that are tables, but its events; nil where
// there is none.
func (c *Company) tables() []file {
	return []file{
		{"raw/accounts.csv", c.Accounts},
		{"raw/signups.csv", c.Answers},
		{"raw/users.csv", c.Users},
		{"raw/subscriptions.csv", c.Subscriptions},
		{"raw/tickets.csv", c.Tickets},
		{"raw/nps.csv", c.Surveys},
		{"raw/outages.csv", c.Outages},
		{"raw/outreach.csv", c.Outreach},
		{"raw/merges.csv", c.Merges},
		{"conversion.csv", c.Conversion},
		{"churn.csv", c.Churn},
		{"upsell.csv", c.Upsell},
		{"truth.csv", c.Truth},
		{"truth_outreach.csv", c.OutreachTruth},
	}
}

// Write puts the company into a directory, which is made if need be: the raw files
// under raw/, events by month of arrival as raw/events/2023-04.parquet and so on;
// the finished tables as conversion.csv, churn.csv and upsell.csv; what is true as
// truth.csv, truth_outreach.csv and truth.json (Laws); Project as propensity.yaml; and
// README.txt and raw/README.txt, which say what they are.
func (c *Company) Write(dir string) error {
	h := history{world: &c.world, accounts: c.accounts}
	return c.write(dir, &h)
}

// Export writes a company as Write does, without the finished tables: it holds no
// more than the accounts and the events of one month, however many there are. It
// says how many deliveries of events it wrote, tickets apart.
func Export(o Options, dir string) (deliveries int, err error) {
	c := start(o)
	h := history{world: &c.world, accounts: c.accounts}
	err = c.write(dir, &h)
	return h.written, err
}

func (c *Company) write(dir string, h *history) error {
	if err := os.MkdirAll(filepath.Join(dir, "raw", "events"), 0o755); err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	tickets, err := h.write(filepath.Join(dir, "raw", "events"))
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	if c.Events == nil { // only now are they known
		c.Tickets, c.Users = h.ticketsTable(tickets), h.usersTable()
	}
	laws, err := json.MarshalIndent(c.Laws(), "", "  ")
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	for name, text := range map[string]string{
		"README.txt": c.readme(), "raw/README.txt": rawReadme, "truth.json": string(laws) + "\n",
		"propensity.yaml": project,
	} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			return fmt.Errorf("sample: %w", err)
		}
	}
	for _, f := range c.tables() {
		if f.table == nil {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := datasets.Write(path, f.table, datasets.WriteOptions{}); err != nil {
			return fmt.Errorf("sample: %w", err)
		}
	}
	return nil
}

// write puts the events into a file a month of arrival, one being written while the
// next is drawn, and gives the tickets.
func (h *history) write(dir string) (tickets []event, err error) {
	written := make(chan error, 1)
	written <- nil
	for m := range months {
		deliveries := h.month(m)
		for _, e := range deliveries {
			if e.kind == ticket {
				tickets = append(tickets, e)
			}
		}
		table := h.eventsTable(deliveries)
		h.written += table.Rows()
		if err := <-written; err != nil {
			return nil, err
		}
		path := filepath.Join(dir, time.UnixMicro(monthStart(m)).UTC().Format("2006-01")+".parquet")
		go func() { written <- datasets.Write(path, table, datasets.WriteOptions{}) }()
	}
	return tickets, <-written
}

func (c *Company) readme() string {
	finished := ""
	if c.Conversion != nil {
		finished = `conversion.csv  one row per trial, 7 days after sign-up; label converted, within 14 days
churn.csv       one row per customer on the first of each month; label churned, within 90 days
upsell.csv      the same rows; label upsold (mrr up by 10 % or more), after 90 days
`
	}
	return fmt.Sprintf(`A simulated company
===================

Everything here was drawn by a program (seed %d). No account, person or payment
is real.

raw/            what the company would export on %s: see raw/README.txt
%struth.csv       the true probability of each row of these three tables: to judge a model, not
                to train one; moments are UTC
truth_outreach.csv  of each customer drawn for the outreach, the true probability to leave
                within 90 days, if called and if not
propensity.yaml  how rows of three such models are made from raw/
truth.json      what else is true: the aha, noise, leaks, drift, effects

Left out, because their horizon was not over: %d rows of conversion, %d of churn,
%d of upsell.
`, c.Seed, datasets.FormatTime(c.AsOf), finished, c.Censored.Conversion, c.Censored.Churn, c.Censored.Upsell)
}

const rawReadme = `Raw files of a simulated company
================================

A reporting tool, sold by seats after a trial of 14 days. Times are UTC, money is USD a
month, ids are text. Nothing is real.

accounts.csv       one row an account: created_at and what it said of itself; lifecycle and
                   total_paid are as of the export, so of no use to foretell anything
signups.csv        answers to the sign-up form, of those who gave any
users.csv          user -> account
events/*.parquet   what users did, a file a month of arrival, in order of arrival:
                   occurred_at, received_at (mostly seconds later, some days). Some come
                   twice; a second delivery of an event_id with another quantity is a
                   correction. quantity: rows of an export, seconds of a report, the step
                   of the onboarding
subscriptions.csv  true from started_at to ended_at. A change of seats and the renewal of an
                   annual contract end a row and begin another at the same instant; an
                   account has left when no row is active, and may be won back.
                   cancel_reason is filled in when it leaves
tickets.csv        support: opened_at, closed_at; severity is known from the start,
                   satisfaction when it is closed
nps.csv            surveys (likely to recommend us? 0 to 10): sent_at; answered_at and score
                   are empty where nobody answered
outages.csv        when the service was down, for everyone
outreach.csv       customers drawn for a call, and by a fair coin called (treated) or not
                   (control), on the last day of a month; a call counts for three months
merges.csv         accounts that turned out to be of the same company: from -> into
`
