package report

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"propensity/models"
	"propensity/models/report/markup"
)

// section is a part of the page under a title of its own.
type section struct {
	ID, Title string
	Text      []string // paragraphs
	Blocks    []block
}

// block is a chart, a table, or a chart with its table to unfold.
type block struct {
	Title   string
	Chart   markup.HTML
	Legend  []key
	Caption string // what the chart shows, in words
	Table   *table
	Half    bool // two fit side by side
	Wide    bool // scrolls sideways where there is no room
	Folded  bool // a table that waits to be opened
}

// key says which line of a chart is whose.
type key struct{ Sign, Ink, Name string }

// table is a head and rows of texts; numbers stand to the right.
type table struct {
	Head  []string
	Left  int // so many columns from the left are text
	Rows  [][]string
	Marks []string // of each row: good, bad or nothing
	More  string
}

// maxRows bounds a table of the page; JSON holds all of them.
const maxRows = 200

func (t *table) add(mark string, cells ...string) {
	if len(t.Rows) == maxRows {
		t.More = "The page shows the first " + count(maxRows) + "; the JSON form of the report holds all."
		return
	}
	for i := t.Left; i < len(cells); i++ {
		cells[i] = strings.Replace(cells[i], " (", "\n(", 1) // an interval stands under its figure
	}
	t.Rows, t.Marks = append(t.Rows, cells), append(t.Marks, mark)
}

// HTML is the report as one page for people: no script, nothing loaded from
// anywhere, legible in light and dark. A section is there only if the artifact
// holds something for it. The error tells of evidence that cannot be shown: a
// number that is not finite, or a surrogate that is no tree.
func HTML(m *models.Manifest, e *models.Metrics, calibration models.Calibration) ([]byte, error) {
	if err := finite(m, e, calibration); err != nil {
		return nil, err
	}
	p := page{
		Name:     m.Name,
		Subtitle: fmt.Sprintf("The probability that %s, learnt by %s.", outcome(m), m.Learner),
		Verdict:  verdict(m, e),
	}
	r := &reporter{m: m, e: e, chosen: e.Candidate(e.Chosen), calibration: calibration}
	for _, write := range []func() (section, error){
		r.calibrationSection, r.gainsSection, r.bandsSection, r.capacitySection, r.backtestSection, r.shiftSection,
		r.driversSection, r.effectsSection, r.shapesSection, r.pairsSection, r.segmentsSection, r.leftOutSection,
		r.candidatesSection, r.gateSection, r.coefficientsSection, r.scorecardSection, r.surrogateSection,
		r.madeSection, r.caveatsSection,
	} {
		s, err := write()
		if err != nil {
			return nil, fmt.Errorf("report of %s: %w", m.Name, err)
		}
		if len(s.Text)+len(s.Blocks) > 0 {
			p.Sections = append(p.Sections, s)
		}
	}
	return unbroken.ReplaceAll([]byte(p.html()), []byte("$1\u00a0%")), nil
}

// unbroken is a number and its sign of percent, which stay on one line.
var unbroken = regexp.MustCompile(`([0-9]) %`)

// reporter is what the sections are written from.
type reporter struct {
	m           *models.Manifest
	e           *models.Metrics
	chosen      models.Candidate
	calibration models.Calibration
}

// Document is the report for machines.
type Document struct {
	Manifest    *models.Manifest   `json:"manifest"`
	Metrics     *models.Metrics    `json:"metrics"`
	Calibration models.Calibration `json:"calibration"`
	Verdict     Verdict            `json:"verdict"`
}

// JSON is the manifest, the evidence and the verdict as a Document.
func JSON(m *models.Manifest, e *models.Metrics, calibration models.Calibration) ([]byte, error) {
	b, err := json.MarshalIndent(Document{m, e, calibration, verdict(m, e)}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("report of %s: %w", m.Name, err)
	}
	return append(b, '\n'), nil
}

// finite refuses what JSON cannot hold, and no chart either.
func finite(m *models.Manifest, e *models.Metrics, calibration models.Calibration) error {
	_, err := JSON(m, e, calibration)
	return err
}

// outcome is what is predicted, in words.
func outcome(m *models.Manifest) string { return m.Label.Column + " is " + m.Label.Positive }

// figure is a chart with the table of its numbers under it.
func figure(title, caption string, chart markup.HTML, t *table) block {
	return block{Title: title, Caption: caption, Chart: chart, Table: t, Folded: chart != ""}
}
