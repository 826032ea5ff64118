package ledger

import (
	"context"

	"propensity/datasets"
	"propensity/features/online"
)

// ExportOptions say what is exported.
type ExportOptions struct {
	Model string
	// Since <= as of < Until, the moment of the score; 0 is no bound.
	Since, Until int64
	// SettledOnly leaves out the scores of which it is not known what became of them.
	SettledOnly bool
	// Scores adds what was answered, and the value that was reported with the outcome:
	// columns that a model must not learn from.
	Scores bool
}

// Exported counts what was exported.
type Exported struct {
	Rows     int `json:"rows"`
	Positive int `json:"positive"`
	Negative int `json:"negative"`
	// Open are the scores whose outcome is not known, or whose horizon is not over; Bare
	// those that are left out since their rows are not kept, Nameless those of no account.
	Open     int `json:"open"`
	Bare     int `json:"bare"`
	Nameless int `json:"nameless"`
	// What the columns are called that are not of rows.
	Account string   `json:"account"`
	Moment  string   `json:"moment"`
	Outcome string   `json:"outcome"`
	Scores  []string `json:"scores,omitempty"`
}

const exportBatch = 8192

// Export gives the scores of a model as tables that train reads, one row a score that was
// asked for or of a job: account (text), as_of (time), the columns of the rows with their
// kinds, and outcome (boolean, missing where it is not known or the horizon is not over). Of several scores of an account and a moment, the one committed last. The
// columns are those of all versions that are there, the newest first; a value that does not
// fit the kind that its column has in the newest version is missing. Where the rows have a
// column of one of these names, theirs is called ledger_account and so on. All tables have
// the same columns, and there is one at least.
func (l *Ledger) Export(ctx context.Context, o ExportOptions, each func(*datasets.Table) error) (*Exported, error) {
	if err := l.prepare(ctx); err != nil {
		return nil, err
	}
	columns, err := l.columnsOf(ctx, o.Model)
	if err != nil {
		return nil, err
	}
	e := newExporter(o, columns)
	q := Query{Model: o.Model, newest: true, momentSince: o.Since, momentUntil: o.Until}
	err = l.Each(ctx, q, func(list []Kept) error {
		for i := range list {
			e.add(&list[i])
		}
		if e.rows < exportBatch {
			return nil
		}
		return each(e.take())
	})
	if err != nil {
		return nil, err
	}
	if e.rows > 0 || e.sum.Rows == 0 {
		if err := each(e.take()); err != nil {
			return nil, err
		}
	}
	return &e.sum, nil
}

// column is one of the exported table.
type column struct {
	name string
	kind datasets.Kind
}

// columnsOf gives the columns of all versions of a model of which there are scores, in the
// order of the newest that has them.
func (l *Ledger) columnsOf(ctx context.Context, model string) ([]column, error) {
	rows, err := l.db.QueryContext(ctx, l.db.Rebind(`SELECT columns FROM ledger_versions WHERE model = ? ORDER BY version DESC, number DESC`), model)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	defer rows.Close()
	var out []column
	known := map[string]bool{}
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, unavailable(ctx, err)
		}
		names, kinds, err := decodeColumns(b)
		if err != nil {
			return nil, err
		}
		for j, name := range names {
			if kinds[j] == 0 {
				kinds[j] = datasets.Category
			}
			if !known[name] {
				known[name] = true
				out = append(out, column{name, kinds[j]})
			}
		}
	}
	return out, unavailable(ctx, rows.Err())
}

// exporter gathers the rows of a table.
type exporter struct {
	o       ExportOptions
	at      map[string]int // of a column of rows
	columns []column       // all
	first   int            // of the columns of rows
	cells   [][]datasets.Value
	rows    int
	sum     Exported
}

func newExporter(o ExportOptions, columns []column) *exporter {
	e := &exporter{o: o, at: map[string]int{}, first: 2}
	for j, c := range columns {
		e.at[c.name] = e.first + j
	}
	free := func(name string) string {
		for {
			if _, taken := e.at[name]; !taken {
				return name
			}
			name = "ledger_" + name
		}
	}
	e.sum.Account, e.sum.Moment, e.sum.Outcome = free("account"), free("as_of"), free("outcome")
	e.columns = append([]column{{e.sum.Account, datasets.Text}, {e.sum.Moment, datasets.Time}}, columns...)
	e.columns = append(e.columns, column{e.sum.Outcome, datasets.Boolean})
	if o.Scores {
		for _, c := range []column{{"value", datasets.Number}, {"scored_at", datasets.Time}, {"version", datasets.Number}, {"origin", datasets.Category},
			{"probability", datasets.Number}, {"score", datasets.Number}, {"percentile", datasets.Number}, {"band", datasets.Category}} {
			c.name = free(c.name)
			e.columns, e.sum.Scores = append(e.columns, c), append(e.sum.Scores, c.name)
		}
	}
	e.cells = make([][]datasets.Value, len(e.columns))
	return e
}

func (e *exporter) add(k *Kept) {
	known := k.Mature && k.Label == k.Label
	switch {
	case k.Account == "":
		e.sum.Nameless++
		return
	case k.Row == nil:
		e.sum.Bare++
		return
	case !known:
		e.sum.Open++
		if e.o.SettledOnly {
			return
		}
	case k.Label == 1:
		e.sum.Positive++
	default:
		e.sum.Negative++
	}
	e.sum.Rows++
	e.rows++
	number := func(x float64) datasets.Value {
		if x != x {
			return datasets.Value{}
		}
		return datasets.Value{Kind: datasets.Number, Number: x}
	}
	e.put(0, datasets.Value{Kind: datasets.Text, Text: k.Account})
	e.put(1, datasets.Value{Kind: datasets.Time, Time: k.AsOf})
	for j, v := range k.Row {
		e.put(e.at[k.Columns[j]], v)
	}
	last := e.first + len(e.at)
	if known {
		e.put(last, datasets.Value{Kind: datasets.Boolean, Number: k.Label})
	}
	if e.o.Scores {
		for i, v := range []datasets.Value{number(k.Settled.Value), {Kind: datasets.Time, Time: k.At}, number(float64(k.Version)), {Kind: datasets.Category, Text: k.Origin},
			number(k.Probability), number(float64(k.Score.Score)), number(k.Percentile), {Kind: datasets.Category, Text: k.Band}} {
			e.put(last+1+i, v)
		}
	}
}

// put sets a cell of the row that is being added; those before it in the column that were
// not set are missing.
func (e *exporter) put(j int, v datasets.Value) {
	for len(e.cells[j]) < e.rows-1 {
		e.cells[j] = append(e.cells[j], datasets.Value{})
	}
	if w, ok := online.Fit(v, e.columns[j].kind); ok {
		e.cells[j] = append(e.cells[j], w)
	}
}

// take gives the rows as a table and begins the next.
func (e *exporter) take() *datasets.Table {
	t := &datasets.Table{}
	for j, c := range e.columns {
		for len(e.cells[j]) < e.rows {
			e.cells[j] = append(e.cells[j], datasets.Value{})
		}
		t.Columns = append(t.Columns, datasets.ColumnOf(c.name, c.kind, e.cells[j]))
		e.cells[j] = e.cells[j][:0]
	}
	e.rows = 0
	return t
}
