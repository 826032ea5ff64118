package serve

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"propensity/models"
)

// scoreOptions are what a request may ask for besides a score.
type scoreOptions struct {
	reasons      int
	allowMissing bool
	// dryRun: the score is neither counted nor recorded, nor shadowed.
	dryRun bool
	// threshold, if hasThreshold: the answer says whether the probability reaches it.
	threshold    float64
	hasThreshold bool
	only         fieldSet // the fields of the answer that are wanted; none: all
	everyModel   bool     // of POST /v1/score, whose answers have fields of their own
}

// fieldSet is a set of fields of an answer, a bit each.
type fieldSet uint32

// Fields of an answer, in their order.
const (
	fieldAccount = iota
	fieldModel
	fieldVersion
	fieldAsOf
	fieldProbability
	fieldScore
	fieldPercentile
	fieldBand
	fieldMeetsThreshold
	fieldBaseRate
	fieldReference
	fieldCoverage
	fieldReasons
	fieldWarnings
	fieldAtStake // of POST /v1/score alone
)

var answerFields = [...]string{
	"account", "model", "version", "as_of", "probability", "score", "percentile", "band", "meets_threshold",
	"base_rate", "reference", "coverage", "reasons", "warnings",
}

// option reads a field of a request that is an option; ok is false of any other.
func (q *request) option(s *scanner, name string) (ok bool, err error) {
	switch name {
	case "reasons":
		return true, q.readReasons(s)
	case "allow_missing":
		return true, q.readBool(s, name, &q.allowMissing)
	case "dry_run":
		return true, q.readBool(s, name, &q.dryRun)
	case "threshold":
		return true, q.readThreshold(s)
	case "fields":
		return true, q.readFields(s)
	}
	return false, nil
}

// readReasons takes a whole number, also one that is written as 3.0.
func (q *request) readReasons(s *scanner) error {
	b := s.next()
	if b != '-' && (b < '0' || b > '9') {
		q.fault(s.pointer, "reasons must be a whole number, 0 to %d", maxReasons)
		return s.skip(2)
	}
	digits, err := s.number()
	if err != nil {
		return err
	}
	x, err := strconv.ParseFloat(string(digits), 64)
	if err != nil || x < 0 || x > maxReasons || x != float64(int(x)) {
		q.fault(s.pointer, "reasons must be a whole number, 0 to %d", maxReasons)
		return nil
	}
	q.reasons = int(x)
	return nil
}

func (q *request) readBool(s *scanner, name string, to *bool) error {
	b := s.next()
	*to = b == 't'
	if b != 't' && b != 'f' {
		q.fault(s.pointer, "%s must be true or false", name)
	}
	return s.skip(2)
}

func (q *request) readThreshold(s *scanner) error {
	b := s.next()
	if b != '-' && (b < '0' || b > '9') {
		q.fault(s.pointer, "threshold must be a probability, 0 to 1")
		return s.skip(2)
	}
	digits, err := s.number()
	if err != nil {
		return err
	}
	x, err := strconv.ParseFloat(string(digits), 64)
	if err != nil || x < 0 || x > 1 {
		q.fault(s.pointer, "threshold must be a probability, 0 to 1")
		return nil
	}
	q.threshold, q.hasThreshold = x, true
	return nil
}

// readFields takes an array of names of fields of the answer.
func (q *request) readFields(s *scanner) error {
	here := s.pointer
	if s.next() != '[' {
		q.fault(here, "fields must be an array of names of fields of the answer")
		return s.skip(2)
	}
	s.at++
	for n := 0; ; n++ {
		if s.next() == ']' && n == 0 {
			q.fault(here, "fields is empty: leave it out for all, or name those that are wanted")
			s.at++
			return nil
		}
		if err := q.readField(s, here, n); err != nil {
			return err
		}
		s.pointer = here
		if s.next() == ']' {
			s.at++
			return nil
		}
		if err := s.take(','); err != nil {
			return err
		}
	}
}

func (q *request) readField(s *scanner, here string, n int) error {
	at := func() string { return here + "/" + strconv.Itoa(n) }
	if s.next() != '"' {
		q.fault(at(), "fields must be an array of names of fields of the answer")
		return s.skip(3)
	}
	name, err := s.text8()
	if err != nil {
		return err
	}
	i := slices.Index(answerFields[:], name)
	if name == atStakeField && q.everyModel {
		i = fieldAtStake
	}
	if i < 0 {
		q.fault(at(), "an answer has no field %q; it has %s", clip(name), strings.Join(answerFields[:], ", "))
		return nil
	}
	q.only |= 1 << i
	return nil
}

// checkOptions finds what two options together make no sense of.
func (q *request) checkOptions(prefix string) {
	if q.only&(1<<fieldMeetsThreshold) != 0 && !q.hasThreshold {
		q.fault(prefix+"/fields", "fields asks for meets_threshold, and there is no threshold")
	}
}

// writeAnswer writes an answer as one line of JSON, with what the request asked for.
func writeAnswer(out *bytes.Buffer, a *models.Answer, o *scoreOptions) error {
	if o.only == 0 && !o.hasThreshold {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(a)
	}
	begin := byte('{')
	for i, name := range answerFields {
		if o.only != 0 && o.only&(1<<i) == 0 || i == fieldAccount && a.Account == "" || i == fieldMeetsThreshold && !o.hasThreshold {
			continue
		}
		value, err := marshal(answerField(a, o, i))
		if err != nil {
			return err
		}
		out.WriteByte(begin)
		out.WriteString(`"` + name + `":`)
		out.Write(bytes.TrimSuffix(value, []byte("\n")))
		begin = ','
	}
	if begin == '{' { // the account alone was asked for, and the request named none
		out.WriteByte('{')
	}
	out.WriteString("}\n")
	return nil
}

func answerField(a *models.Answer, o *scoreOptions, field int) any {
	switch field {
	case fieldAccount:
		return a.Account
	case fieldModel:
		return a.Model
	case fieldVersion:
		return a.Version
	case fieldAsOf:
		return a.AsOf
	case fieldProbability:
		return a.Probability
	case fieldScore:
		return a.Score
	case fieldPercentile:
		return a.Percentile
	case fieldBand:
		return a.Band
	case fieldMeetsThreshold:
		return a.Probability >= o.threshold
	case fieldBaseRate:
		return a.BaseRate
	case fieldReference:
		return a.Reference
	case fieldCoverage:
		return a.Coverage
	case fieldReasons:
		return a.Reasons
	}
	return a.Warnings
}
