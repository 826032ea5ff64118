package serve

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/models"
)

// oipOutput is a tensor that an answer has, of shape [n].
type oipOutput struct {
	name, datatype string
	binary         *bool // nil: as the request says of all
	// value is a cell of it.
	value func(a *models.Answer) datasets.Value
}

// oipOutputs are all that there are.
func oipOutputs() []oipOutput {
	number := func(x float64) datasets.Value { return datasets.Value{Kind: datasets.Number, Number: x} }
	text := func(s string) datasets.Value { return datasets.Value{Kind: datasets.Text, Text: s} }
	return []oipOutput{
		{name: "probability", datatype: "FP64", value: func(a *models.Answer) datasets.Value { return number(a.Probability) }},
		{name: "score", datatype: "INT64", value: func(a *models.Answer) datasets.Value { return number(float64(a.Score)) }},
		{name: "percentile", datatype: "FP64", value: func(a *models.Answer) datasets.Value { return number(a.Percentile) }},
		{name: "band", datatype: "BYTES", value: func(a *models.Answer) datasets.Value { return text(a.Band) }},
		{name: "reasons", datatype: "BYTES", value: func(a *models.Answer) datasets.Value { return text(inJSON(a.Reasons)) }},
		{name: "warnings", datatype: "BYTES", value: func(a *models.Answer) datasets.Value { return text(inJSON(a.Warnings)) }},
	}
}

func inJSON(v any) string {
	b, err := marshal(v)
	if err != nil { // a value of our own that JSON cannot hold
		panic(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}

// output reads what is asked for.
func (i *inference) output(s *scanner) error {
	var name string
	var in *bool
	if err := walkObject(s, "an output", func(member string) error {
		switch member {
		case "name":
			return textMember(s, "the name of an output", &name)
		case "parameters":
			return walkObject(s, "the parameters of an output", func(name string) error {
				switch name {
				case "binary_data":
					in = new(bool)
					return boolMember(s, name, in)
				case "content_type":
					return s.skip(5)
				}
				return oipRefuse("unknown parameter %q of an output: there is binary_data", clip(name))
			})
		}
		return oipRefuse("unknown field %q of an output: there are name and parameters", clip(member))
	}); err != nil {
		return err
	}
	for _, o := range i.outputs {
		if o.name == name {
			return oipRefuse("output %q is asked for twice", clip(name))
		}
	}
	var known []string
	for _, o := range oipOutputs() {
		if o.name == name {
			o.binary = in
			i.outputs = append(i.outputs, o)
			return nil
		}
		known = append(known, o.name)
	}
	return oipRefuse("there is no output %q; there are: %s", clip(name), strings.Join(known, ", "))
}

// wantReasons spares the work of explaining what nobody asked for.
func (i *inference) wantReasons() {
	for _, o := range i.outputs {
		if o.name == "reasons" {
			return
		}
	}
	i.reasons = 0
}

// oipAnswer collects the outputs, column by column.
type oipAnswer struct {
	rows    int
	columns []oipColumn
}

type oipColumn struct {
	oipOutput
	raw  bool
	data bytes.Buffer // the cells: of JSON with commas between them, or bytes
	room []byte
}

func newOIPAnswer(i *inference) *oipAnswer {
	a := &oipAnswer{columns: make([]oipColumn, len(i.outputs))}
	for k, o := range i.outputs {
		a.columns[k] = oipColumn{oipOutput: o, raw: i.binary}
		if o.binary != nil {
			a.columns[k].raw = *o.binary
		}
	}
	return a
}

// add adds the answer for a row.
func (a *oipAnswer) add(answer *models.Answer) error {
	for k := range a.columns {
		c := &a.columns[k]
		v := c.value(answer)
		if c.raw {
			c.room = c.appendRaw(c.room[:0], v)
		} else {
			if c.room = c.room[:0]; a.rows > 0 {
				c.room = append(c.room, ',')
			}
			if v.Kind == datasets.Number {
				c.room = datasets.AppendNumber(c.room, v.Number)
			} else {
				c.room = append(c.room, inJSON(v.Text)...)
			}
		}
		c.data.Write(c.room)
	}
	a.rows++
	return nil
}

func (c *oipColumn) appendRaw(b []byte, v datasets.Value) []byte {
	switch c.datatype {
	case "FP64":
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Number))
	case "INT64":
		return binary.LittleEndian.AppendUint64(b, uint64(int64(v.Number)))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(v.Text)))
	return append(b, v.Text...)
}

type oipInferAnswer struct {
	ModelName    string           `json:"model_name"`
	ModelVersion string           `json:"model_version"`
	ID           *string          `json:"id,omitempty"`
	Outputs      []oipTensorValue `json:"outputs"`
}

type oipTensorValue struct {
	Name       string          `json:"name"`
	Datatype   string          `json:"datatype"`
	Shape      []int           `json:"shape"`
	Parameters *oipBinarySize  `json:"parameters,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}

type oipBinarySize struct {
	Size int `json:"binary_data_size"`
}

// write answers: JSON and, where it was asked for, the bytes of tensors after it.
func (a *oipAnswer) write(c *gin.Context, v *version, i *inference) {
	out := oipInferAnswer{ModelName: v.name, ModelVersion: strconv.Itoa(v.number), Outputs: []oipTensorValue{}}
	if i.hasID {
		out.ID = &i.id
	}
	var tail []byte
	raw := false
	for k := range a.columns {
		o := &a.columns[k]
		t := oipTensorValue{Name: o.name, Datatype: o.datatype, Shape: []int{a.rows}}
		if o.raw {
			raw = true
			t.Parameters = &oipBinarySize{o.data.Len()}
			tail = append(tail, o.data.Bytes()...)
		} else {
			t.Data = append(append(json.RawMessage{'['}, o.data.Bytes()...), ']')
		}
		out.Outputs = append(out.Outputs, t)
	}
	head, err := marshal(out)
	if err != nil { // a value of our own that JSON cannot hold
		panic(err)
	}
	if !raw {
		c.Data(http.StatusOK, "application/json", head)
		return
	}
	c.Header(oipHeaderLength, strconv.Itoa(len(head)))
	c.Data(http.StatusOK, "application/octet-stream", append(head, tail...))
}
