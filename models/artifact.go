package models

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"

	"propensity/datasets"
	"propensity/features"
	"propensity/models/evaluate"
	"propensity/models/tree"
)

// Errors of artifacts; test with errors.Is.
var (
	// ErrDamaged is an artifact that is not what was written.
	ErrDamaged = errors.New("damaged artifact")
	// ErrReplay is an artifact whose scorer disagrees with its own replay rows.
	ErrReplay = errors.New("replay disagrees")
	// ErrFormat is an artifact of a file format that this program does not read.
	ErrFormat = errors.New("another format")
	// ErrName is a model name that is not allowed.
	ErrName = errors.New("invalid model name")
)

// Format is the version of the file format that this code writes and reads.
const Format = 2

// Names of the files of an artifact, in the order in which they are hashed;
// FORMAT.md describes each.
const (
	ManifestFile    = "manifest.json"
	EncoderFile     = "encoder.json"
	ModelFile       = "model.arrow"
	CalibrationFile = "calibration.json"
	BaselineFile    = "baseline.arrow"
	ReplayFile      = "replay.arrow"
	MetricsFile     = "metrics.json"
	SpecFile        = "spec.yaml"
	CardFile        = "card.md"
	ReportFile      = "report.html"
	FeaturesFile    = "features.yaml" // only of a model learnt from rows that features made
)

// AllFileNames are the files that an artifact may have, besides the manifest.
func AllFileNames() []string { return append(FileNames(), FeaturesFile) }

// FileNames are the files that every artifact has, besides the manifest.
func FileNames() []string {
	return []string{EncoderFile, ModelFile, CalibrationFile, BaselineFile, ReplayFile, MetricsFile, SpecFile, CardFile, ReportFile}
}

// Files are the files of an artifact by name, without a path.
type Files map[string][]byte

// FileHash is the hash of one file.
type FileHash struct {
	Name   string `json:"name"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

// Manifest says what an artifact is and what it was made from. It holds no time,
// version number, duration or machine: the same data, spec and seed make the
// same manifest.
type Manifest struct {
	Format  int    `json:"format"`
	Name    string `json:"name"`
	Kind    string `json:"kind"`    // linear or tree
	Learner string `json:"learner"` // logistic, boosting, ...
	// Account and Moment name the columns of the id and of the instant; empty if
	// the table had none.
	Account  string             `json:"account,omitempty"`
	Moment   string             `json:"moment,omitempty"`
	Label    Label              `json:"label"`
	Value    string             `json:"value,omitempty"` // the column of money at stake
	Data     Data               `json:"data"`
	Split    Split              `json:"split"`
	Seed     uint64             `json:"seed"`
	BaseRate float64            `json:"base_rate"` // share of positives among the training rows
	Bands    []Band             `json:"bands"`     // A first
	LeftOut  []features.LeftOut `json:"left_out,omitempty"`
	Notes    []string           `json:"notes,omitempty"`
	Files    []FileHash         `json:"files"`
	Hash     string             `json:"hash"` // of all the above
}

// Label names the outcome: the column and its positive value.
type Label struct {
	Column   string `json:"column"`
	Positive string `json:"positive"`
}

// Data describes the table that was learnt from.
type Data struct {
	Fingerprint string `json:"fingerprint"` // datasets.Table.Fingerprint
	Rows        int    `json:"rows"`
	Positives   int    `json:"positives"`
	Unlabelled  int    `json:"unlabelled,omitempty"`
	Accounts    int    `json:"accounts"`
}

// Split tells who learnt from which rows, so that a later version can be
// compared on rows that this one never saw.
type Split struct {
	Kind    string  `json:"kind"` // time, order or group
	Share   float64 `json:"share"`
	Horizon string  `json:"horizon,omitempty"`
	Trained int     `json:"trained"`
	Judged  int     `json:"judged"`
	Purged  int     `json:"purged,omitempty"`
	// TrainedUntil is the newest moment of a training row (time), in RFC 3339.
	TrainedUntil string `json:"trained_until,omitempty"`
	// TrainedRows is the number of leading rows learnt from (order).
	TrainedRows int `json:"trained_rows,omitempty"`
	// KeyBound, in hex: no account whose key is below was learnt from (group).
	// Keys tells what account keys are made of.
	KeyBound string `json:"key_bound,omitempty"`
	Keys     string `json:"keys,omitempty"`
	// Refit says that the published model was fitted again on all rows.
	Refit bool `json:"refit,omitempty"`
}

// BandNames are the names of the bands, the most probable first.
func (m *Manifest) BandNames() []string {
	var out []string
	for _, b := range m.Bands {
		out = append(out, b.Name)
	}
	return out
}

// Band is a range of probabilities: From (inclusive) up to the band before.
// Rate is what was observed among the rows that judged the model.
type Band struct {
	Name      string            `json:"name"`
	From      float64           `json:"from"`
	Rows      int               `json:"rows"`
	Positives int               `json:"positives"`
	Rate      evaluate.Interval `json:"rate"`
}

// Artifact is a saved version of a model: what scores, and the evidence for it.
type Artifact struct {
	Manifest    Manifest // Files and Hash are filled by Files
	Encoder     *features.Encoder
	Model       Model
	Calibration Calibration
	Ranking     *evaluate.Ranking // of the log-odds of the rows that judged the model
	Metrics     Metrics
	Spec        []byte // the spec it was trained from, YAML
	Card        []byte // the model card, Markdown
	Report      []byte // the report, one HTML page
	// Features is how the rows came from facts, a project file of one model (see
	// features/spec); nil if the table was a finished one.
	Features []byte
}

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// ValidName checks the name of a model or alias: a lower-case letter, then up to
// 63 letters, digits, - and _. The error is ErrName.
func ValidName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("%w %q: use a lower-case letter, then letters, digits, - and _ (64 at most)", ErrName, name)
	}
	return nil
}

// Files writes the artifact: the same artifact, the same bytes. It completes the
// manifest and records the expected scores of the replay rows.
func (a *Artifact) Files() (Files, error) {
	model, err := modelTable(a.Model)
	if err != nil {
		return nil, err
	}
	s, err := newScorer(a)
	if err != nil {
		return nil, err
	}
	f := Files{SpecFile: a.Spec, CardFile: a.Card, ReportFile: a.Report}
	for name, v := range map[string]any{EncoderFile: a.Encoder, CalibrationFile: a.Calibration, MetricsFile: a.Metrics} {
		if f[name], err = marshalIndent(v); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, t := range map[string]*datasets.Table{ModelFile: model, BaselineFile: rankingTable(a.Ranking)} {
		if f[name], err = datasets.MarshalIPC(t); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	replay, err := s.makeReplay(f.parts())
	if err != nil {
		return nil, err
	}
	if f[ReplayFile], err = datasets.MarshalIPC(replay); err != nil {
		return nil, fmt.Errorf("%s: %w", ReplayFile, err)
	}
	m := &a.Manifest
	m.Format, m.Kind, m.Files = Format, kindOf(a.Model), nil
	names := FileNames()
	if len(a.Features) > 0 {
		f[FeaturesFile], names = a.Features, AllFileNames()
	}
	for _, name := range names {
		sum := sha256.Sum256(f[name])
		m.Files = append(m.Files, FileHash{name, len(f[name]), hex.EncodeToString(sum[:])})
	}
	if m.Hash, err = m.hash(); err != nil {
		return nil, err
	}
	f[ManifestFile], err = marshalIndent(m)
	return f, err
}

// parts hashes what scores: the encoder, the model, the calibration and the
// baseline, each by its name, size and bytes. The replay rows hold it, so that they
// answer for these very parts whatever a manifest says.
func (f Files) parts() string {
	h := sha256.New()
	for _, name := range []string{EncoderFile, ModelFile, CalibrationFile, BaselineFile} {
		fmt.Fprintf(h, "%s %d\n", name, len(f[name]))
		h.Write(f[name]) //nolint:errcheck // a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Hash identifies the artifact: SHA-256, in hex, over the manifest and through
// it over every file. It is empty before Files or ParseArtifact.
func (a *Artifact) Hash() string { return a.Manifest.Hash }

func (m *Manifest) hash() (string, error) {
	c := *m
	c.Hash = ""
	b, err := marshalIndent(c)
	if err != nil {
		return "", fmt.Errorf("%s: %w", ManifestFile, err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

func marshalIndent(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", " ")
	return append(b, '\n'), err
}

// ParseManifest reads a manifest and checks its own hash; the error is ErrDamaged.
func ParseManifest(b []byte) (Manifest, error) {
	var m Manifest
	if err := decode(ManifestFile, b, &m); err != nil {
		return m, err
	}
	if m.Format != Format {
		return m, fmt.Errorf("%w: %w: %s has format %d, this program reads %d: train it again", ErrDamaged, ErrFormat, ManifestFile, m.Format, Format)
	}
	want, err := m.hash()
	if err != nil {
		return m, err
	}
	// Bytes that read the same but are not those written are damage too.
	if again, err := marshalIndent(m); err != nil || want != m.Hash || !bytes.Equal(again, b) {
		return m, fmt.Errorf("%w: %s does not match its hash", ErrDamaged, ManifestFile)
	}
	return m, m.check()
}

func (m *Manifest) check() error {
	if err := ValidName(m.Name); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, ManifestFile, err)
	}
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s: "+format, append([]any{ErrDamaged, ManifestFile}, args...)...)
	}
	if len(m.Bands) == 0 || m.Bands[len(m.Bands)-1].From != 0 {
		return fault("the last band does not start at 0")
	}
	for i, b := range m.Bands {
		if b.Name == "" || math.IsNaN(b.From) || b.From > 1 || (i > 0 && b.From >= m.Bands[i-1].From) {
			return fault("band %d (%q) from %v", i, b.Name, b.From)
		}
	}
	if !(m.BaseRate >= 0 && m.BaseRate <= 1) {
		return fault("base rate %v", m.BaseRate)
	}
	names := make([]string, len(m.Files))
	for i, f := range m.Files {
		names[i] = f.Name
	}
	if !slices.Equal(names, FileNames()) && !slices.Equal(names, AllFileNames()) {
		return fault("files %q, expected %q", names, FileNames())
	}
	return nil
}

// ParseArtifact reads and checks every file. Any damage is ErrDamaged; it never
// panics and never returns a model that differs from the one written.
func ParseArtifact(f Files) (*Artifact, error) {
	m, err := ParseManifest(f[ManifestFile])
	if err != nil {
		return nil, err
	}
	for name := range f {
		if name != ManifestFile && !slices.ContainsFunc(m.Files, func(h FileHash) bool { return h.Name == name }) {
			return nil, fmt.Errorf("%w: unexpected file %q", ErrDamaged, name)
		}
	}
	for _, h := range m.Files {
		b, ok := f[h.Name]
		if !ok {
			return nil, fmt.Errorf("%w: %s is missing", ErrDamaged, h.Name)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != h.SHA256 || len(b) != h.Size {
			return nil, fmt.Errorf("%w: %s does not match its hash", ErrDamaged, h.Name)
		}
	}
	a := &Artifact{Manifest: m, Spec: f[SpecFile], Card: f[CardFile], Report: f[ReportFile], Features: f[FeaturesFile]}
	if a.Encoder, err = features.ParseEncoder(f[EncoderFile]); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, EncoderFile, err)
	}
	if a.Model, err = parseModel(m.Kind, f[ModelFile], a.Encoder); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, ModelFile, err)
	}
	if err := decode(CalibrationFile, f[CalibrationFile], &a.Calibration); err != nil {
		return nil, err
	}
	if err := a.Calibration.Check(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, CalibrationFile, err)
	}
	if a.Ranking, err = parseRanking(f[BaselineFile]); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, BaselineFile, err)
	}
	return a, decode(MetricsFile, f[MetricsFile], &a.Metrics)
}

func decode(name string, b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w: %s: something follows its end", ErrDamaged, name)
	}
	return nil
}

func kindOf(m Model) string {
	if _, ok := m.(*Linear); ok {
		return "linear"
	}
	return "tree"
}

func modelTable(m Model) (*datasets.Table, error) {
	switch m := m.(type) {
	case *Linear:
		return m.Table(), nil
	case *tree.Ensemble:
		return m.Table(), nil
	}
	return nil, fmt.Errorf("a model of type %T cannot be saved", m)
}

func parseModel(kind string, b []byte, e *features.Encoder) (Model, error) {
	t, err := datasets.UnmarshalIPC(b)
	if err != nil {
		return nil, err
	}
	levels := make([]int, len(e.Columns))
	for i := range e.Columns {
		levels[i] = len(e.Columns[i].Levels)
	}
	switch kind {
	case "linear":
		return LinearFromTable(t, levels)
	case "tree":
		return tree.FromTable(t, levels)
	}
	return nil, fmt.Errorf("unknown kind of model %q", kind)
}

func rankingTable(r *evaluate.Ranking) *datasets.Table {
	return &datasets.Table{Columns: []datasets.Column{
		{Name: "raw", Kind: datasets.Number, Numbers: r.Values()},
		{Name: "rows", Kind: datasets.Number, Numbers: r.Counts()},
	}}
}

func parseRanking(b []byte) (*evaluate.Ranking, error) {
	t, err := datasets.UnmarshalIPC(b)
	if err != nil {
		return nil, err
	}
	raw, rows := t.Column("raw"), t.Column("rows")
	if raw == nil || rows == nil || raw.Kind != datasets.Number || rows.Kind != datasets.Number {
		return nil, errors.New("columns raw and rows are not there")
	}
	return evaluate.FromCounts(raw.Numbers, rows.Numbers)
}
