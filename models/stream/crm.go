package stream

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"propensity/datasets"
)

// CRM is how scores are laid out for a CRM that takes them in bulk.
type CRM struct {
	// Kind is "salesforce": CSV of Bulk API 2.0, an upsert by an external id, each file
	// below 100 MB once it is base64 (https://developer.salesforce.com/docs, Bulk API 2.0,
	// Upload Job Data); or "hubspot": a line of JSON for each request to
	// /crm/v3/objects/{type}/batch/upsert, of 100 inputs.
	Kind string
	// ID is the field that the account's id is in: an external id, a unique property.
	ID string
	// Fields are the CRM's fields with what goes into each: account, model, version, as_of,
	// probability, score, percentile, band, reasons, warnings.
	Fields []CRMField
}

// CRMField is a field of a CRM.
type CRMField struct{ From, To string }

// ErrCRM is wrapped by errors about how scores are to be laid out.
var ErrCRM = errors.New("scores cannot be laid out so")

const (
	crmText      = 255         // letters of a text field
	crmInputs    = 100         // of a request to HubSpot
	crmFileBytes = 100_000_000 // of a file for Salesforce once it is base64: 4 bytes for 3
)

func crmSources() []string {
	return []string{"account", "model", "version", "as_of", "probability", "score", "percentile", "band", "reasons", "warnings"}
}

// Check finds what is wrong with the layout.
func (c *CRM) Check() error {
	if c.Kind != "salesforce" && c.Kind != "hubspot" {
		return fmt.Errorf("%w: %q is neither salesforce nor hubspot", ErrCRM, c.Kind)
	}
	if c.ID == "" {
		return fmt.Errorf("%w: no field for the id of the account is named", ErrCRM)
	}
	if len(c.Fields) == 0 {
		return fmt.Errorf("%w: no field is named, as in probability=Churn_Probability__c", ErrCRM)
	}
	names := []string{c.ID}
	for _, f := range c.Fields {
		if !slices.Contains(crmSources(), f.From) {
			return fmt.Errorf("%w: there is no %q; there are %s", ErrCRM, f.From, strings.Join(crmSources(), ", "))
		}
		if f.To == "" || slices.Contains(names, f.To) {
			return fmt.Errorf("%w: the field %q is named twice, or not at all", ErrCRM, f.To)
		}
		names = append(names, f.To)
	}
	return nil
}

// Output is a file, or files, in the making; *datasets.Writer and *CRMFiles are. Nothing of
// it shows before Commit, and nothing is left after Abort.
type Output interface {
	Sink
	Commit() error
	Abort()
}

// CRMFiles is a Sink that writes the files of a CRM into a directory, which appears under
// its name only when they are whole.
type CRMFiles struct {
	crm      *CRM
	dir, tmp string
	most     int // bytes of a file
	file     *os.File
	size     int
	files    int
	rows     int
	inputs   []json.RawMessage
	line     bytes.Buffer
}

// NewCRMFiles makes the files of a directory that is not there yet.
func NewCRMFiles(dir string, c *CRM) (*CRMFiles, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(dir); err == nil {
		return nil, fmt.Errorf("%s is there already: name a new directory, so that no file of another run is among these", dir)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".tmp-*")
	if err != nil {
		return nil, err
	}
	return &CRMFiles{crm: c, dir: dir, tmp: tmp, most: crmFileBytes / 4 * 3}, os.Chmod(tmp, 0o755)
}

// Write takes a scored batch.
func (w *CRMFiles) Write(t *datasets.Table) error {
	if t.Column("account") == nil {
		return fmt.Errorf("%w: the table has no accounts", ErrCRM)
	}
	for i := range t.Rows() {
		w.rows++
		if t.Column("account").At(i).Missing() {
			return fmt.Errorf("%w: row %d has no account", ErrCRM, w.rows)
		}
		if err := w.row(t, i); err != nil {
			return err
		}
	}
	return nil
}

func (w *CRMFiles) row(t *datasets.Table, i int) error {
	if w.crm.Kind == "hubspot" {
		return w.input(t, i)
	}
	cells := []string{cellText(t, "account", i)}
	for _, f := range w.crm.Fields {
		text := cellText(t, f.From, i)
		if text == "" {
			text = "#N/A" // what empties a field
		}
		cells = append(cells, text)
	}
	line, err := w.csv(cells)
	if err != nil {
		return err
	}
	if w.file != nil && w.size+len(line) > w.most {
		if err := w.end(); err != nil {
			return err
		}
	}
	if w.file == nil {
		if err := w.begin(".csv"); err != nil {
			return err
		}
		line = bytes.Clone(line)
		header := []string{w.crm.ID}
		for _, f := range w.crm.Fields {
			header = append(header, f.To)
		}
		head, err := w.csv(header)
		if err == nil {
			err = w.put(head)
		}
		if err != nil {
			return err
		}
	}
	return w.put(line)
}

// csv is a line of CSV, valid until the next call.
func (w *CRMFiles) csv(cells []string) ([]byte, error) {
	w.line.Reset()
	c := csv.NewWriter(&w.line)
	if err := c.Write(cells); err != nil {
		return nil, err
	}
	c.Flush()
	return w.line.Bytes(), c.Error()
}

// input gathers the inputs of a request to HubSpot.
func (w *CRMFiles) input(t *datasets.Table, i int) error {
	properties := make(map[string]any, len(w.crm.Fields))
	for _, f := range w.crm.Fields {
		properties[f.To] = cellText(t, f.From, i) // "" empties a property
		if c := t.Column(f.From); c != nil && c.Kind == datasets.Number && !c.At(i).Missing() {
			properties[f.To] = json.Number(cellText(t, f.From, i))
		}
	}
	input, err := json.Marshal(map[string]any{"id": cellText(t, "account", i), "idProperty": w.crm.ID, "properties": properties})
	if err != nil {
		return err
	}
	if w.inputs = append(w.inputs, input); len(w.inputs) < crmInputs {
		return nil
	}
	return w.request()
}

// request writes what is gathered as one request.
func (w *CRMFiles) request() error {
	if w.file == nil {
		if err := w.begin(".ndjson"); err != nil {
			return err
		}
	}
	body, err := json.Marshal(map[string]any{"inputs": w.inputs})
	w.inputs = w.inputs[:0]
	if err != nil {
		return err
	}
	return w.put(append(body, '\n'))
}

func (w *CRMFiles) begin(extension string) (err error) {
	w.files++
	w.size = 0
	w.file, err = os.Create(filepath.Join(w.tmp, fmt.Sprintf("scores-%04d%s", w.files, extension)))
	return err
}

func (w *CRMFiles) put(line []byte) error {
	w.size += len(line)
	_, err := w.file.Write(line)
	return err
}

func (w *CRMFiles) end() error {
	if w.file == nil {
		return nil
	}
	err := errors.Join(w.file.Sync(), w.file.Close())
	w.file = nil
	return err
}

// Commit puts the files under the directory's name.
func (w *CRMFiles) Commit() error {
	if len(w.inputs) > 0 {
		if err := w.request(); err != nil {
			return err
		}
	}
	if err := w.end(); err != nil {
		return err
	}
	return os.Rename(w.tmp, w.dir)
}

// Abort leaves nothing behind.
func (w *CRMFiles) Abort() {
	_ = w.end()
	_ = os.RemoveAll(w.tmp)
}

// cellText is what a CRM gets: numbers to six decimals, times in RFC 3339, the reasons in
// one text of at most 255 letters; "" for what is missing.
func cellText(t *datasets.Table, from string, i int) string {
	if from == "reasons" {
		var reasons []string
		for k := 1; ; k++ {
			c := t.Column("reason_" + strconv.Itoa(k))
			if c == nil {
				break
			}
			if v := c.At(i); !v.Missing() {
				reasons = append(reasons, v.Text)
			}
		}
		return shortened(strings.Join(reasons, "; "))
	}
	c := t.Column(from)
	if c == nil || c.At(i).Missing() {
		return ""
	}
	switch v := c.At(i); v.Kind {
	case datasets.Number:
		text := strconv.FormatFloat(v.Number, 'f', 6, 64)
		return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	case datasets.Time:
		return datasets.FormatTime(v.Time)
	default:
		if from == "account" {
			return v.String()
		}
		return shortened(v.String())
	}
}

// shortened is a text that fits a field, with an ellipsis where letters are missing.
func shortened(text string) string {
	if utf8.RuneCountInString(text) <= crmText {
		return text
	}
	letters := []rune(text)
	return strings.TrimRight(string(letters[:crmText-3]), " ;,") + "..."
}
