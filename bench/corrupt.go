package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/models"
	"propensity/train"
)

// A case may take so much memory in all, and so long.
const (
	corruptMemory = 64 << 20
	corruptTime   = 10 * time.Second
)

// corruptProof damages artifacts in every way that a disk, a copy or a hand may.
func corruptProof() proof {
	return proof{
		name: "corrupt",
		what: "A corrupted artifact is refused, or scores the same to the bit: never another score, never a panic, never more than " +
			"64 MiB or 10 s. In a part of the cases the manifest is made to fit the damage.",
		n:   10_000,
		run: proveCorrupt,
	}
}

// original is a sound artifact with rows and what they score.
type original struct {
	name             string
	files            models.Files
	table            *datasets.Table
	moments          []int64
	raw, probability []float64
}

const probeRows = 500

func proveCorrupt(ctx context.Context, r *run) error {
	table := sample.Simulate(sample.Options{Accounts: 200, Seed: r.seed}).Churn
	var all []*original
	for _, learner := range []string{"logistic", "boosting"} {
		o, err := newOriginal(ctx, table, learner)
		if err != nil {
			return fmt.Errorf("%s: %w", learner, err)
		}
		all = append(all, o)
	}
	return r.each(ctx, func(_ context.Context, i int, rng *rand.Rand) error {
		own, other := all[i%2], all[1-i%2]
		f, how := corrupt(own.files, other.files, rng)
		fits := rng.IntN(2) == 0 && refit(f)
		if fits {
			how += ", manifest made to fit"
		}
		outcome, err := own.judge(f, fits)
		if err != nil {
			return fmt.Errorf("%s artifact, %s: %w", own.name, how, err)
		}
		r.tally(outcome)
		return nil
	})
}

func newOriginal(ctx context.Context, table *datasets.Table, learner string) (*original, error) {
	result, err := train.Run(ctx, table, train.Spec{
		Name: "churn", ID: "account_id", Time: "moment", Label: "churned", Horizon: 90, Learners: []string{learner}, Seed: 1,
	}, nil, nil)
	if err != nil {
		return nil, err
	}
	s, err := models.NewScorer(result.Files)
	if err != nil {
		return nil, err
	}
	rows := make([]int, min(probeRows, table.Rows()))
	for i := range rows {
		rows[i] = i * (table.Rows() / len(rows))
	}
	o := &original{name: learner, files: result.Files, table: table.Take(rows)}
	o.moments = o.table.Column("moment").Times
	o.raw, o.probability, err = o.score(s)
	return o, err
}

func (o *original) score(s *models.Scorer) (raw, probability []float64, err error) {
	columns, err := s.Encoder().EncodeTable(o.table, o.moments)
	if err != nil {
		return nil, nil, err
	}
	raw, probability = s.ScoreColumns(columns, o.table.Rows())
	return raw, probability, nil
}

// judge loads corrupted files and says what came of it; an error is a failure of
// the product.
func (o *original) judge(f models.Files, fits bool) (outcome string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	s, refusal := models.NewScorer(f)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if memory := after.TotalAlloc - before.TotalAlloc; memory > corruptMemory || took > corruptTime {
		return "", fmt.Errorf("it took %d MiB and %s", memory>>20, took)
	}
	switch {
	case refusal != nil && !fits && errors.Is(refusal, models.ErrDamaged):
		return "refused by a hash", nil
	case refusal != nil && fits && errors.Is(refusal, models.ErrDamaged):
		return "refused for what a file says", nil
	case refusal != nil && fits && errors.Is(refusal, models.ErrReplay):
		return "refused by the replay", nil
	case refusal != nil:
		return "", fmt.Errorf("an error of no known kind: %w", refusal)
	case !fits:
		return "", errors.New("it was loaded")
	}
	raw, probability, err := o.score(s)
	if err != nil {
		return "", fmt.Errorf("it was loaded and does not score: %w", err)
	}
	if !slices.Equal(raw, o.raw) || !slices.Equal(probability, o.probability) {
		return "", errors.New("it was loaded and gives other scores")
	}
	return "loaded, the same scores to the bit", nil
}

// corrupt changes a copy of some files in one way, and says how.
func corrupt(own, other models.Files, rng *rand.Rand) (models.Files, string) {
	names := slices.Sorted(maps.Keys(own))
	arrow := []string{models.BaselineFile, models.ModelFile, models.ReplayFile}
	for {
		f := maps.Clone(own)
		name := names[rng.IntN(len(names))]
		b := slices.Clone(f[name])
		var how string
		switch rng.IntN(6) {
		case 0:
			n := 1 + rng.IntN(8)
			for range n {
				b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			}
			how = fmt.Sprintf("%d bits flipped in %s", n, name)
		case 1:
			b = b[:rng.IntN(len(b))]
			how = fmt.Sprintf("%s cut off after %d bytes", name, len(b))
		case 2:
			more := make([]byte, 1+rng.IntN(64))
			for i := range more {
				more[i] = byte(rng.Uint32())
			}
			at := rng.IntN(len(b) + 1)
			b = slices.Insert(b, at, more...)
			how = fmt.Sprintf("%d bytes inserted at %d of %s", len(more), at, name)
		case 3:
			from := names[rng.IntN(len(names))]
			f[from], b = b, f[from]
			how = fmt.Sprintf("%s and %s swapped", name, from)
		case 4:
			b = other[name]
			how = name + " of the other artifact"
		default:
			name = arrow[rng.IntN(len(arrow))]
			from := arrow[rng.IntN(len(arrow))]
			b = splice(own[name], [][]byte{own[from], other[from], other[name]}[rng.IntN(3)], rng)
			how = fmt.Sprintf("messages of %s spliced into %s", from, name)
		}
		if f[name] = b; !maps.EqualFunc(f, own, bytes.Equal) {
			return f, how
		}
	}
}

// splice puts one message of another Arrow file in the place of, before or after
// one of a file, or repeats or drops one of its own.
func splice(b, other []byte, rng *rand.Rand) []byte {
	head, own, tail := messagesOf(b)
	_, more, _ := messagesOf(other)
	at := rng.IntN(len(own))
	switch rng.IntN(4) {
	case 0:
		own[at] = more[rng.IntN(len(more))]
	case 1:
		own = slices.Insert(own, at+rng.IntN(2), more[rng.IntN(len(more))])
	case 2:
		own = slices.Insert(own, at, own[rng.IntN(len(own))])
	default:
		own = slices.Delete(own, at, at+1)
	}
	return slices.Concat(head, bytes.Join(own, nil), tail)
}

// messagesOf cuts an Arrow file into its mark, its messages and the rest: each
// message is 0xFFFFFFFF, the length of its header, the header, and a body whose
// length is in the header; the footer repeats where each starts and how long it is.
func messagesOf(b []byte) (head []byte, messages [][]byte, tail []byte) {
	const mark = 8
	at := mark
	for at+8 <= len(b) && binary.LittleEndian.Uint32(b[at:]) == math.MaxUint32 {
		size := int(binary.LittleEndian.Uint32(b[at+4:]))
		if size == 0 {
			break
		}
		end := at + 8 + size + bodyLength(b[at+8:at+8+size])
		messages = append(messages, b[at:end])
		at = end
	}
	return b[:mark], messages, b[at:]
}

// bodyLength is field 3 of the flatbuffer table Message (Message.fbs of Arrow).
func bodyLength(header []byte) int {
	table := int(binary.LittleEndian.Uint32(header))
	vtable := table - int(int32(binary.LittleEndian.Uint32(header[table:])))
	const entry = 4 + 2*3
	if int(binary.LittleEndian.Uint16(header[vtable:])) <= entry {
		return 0
	}
	offset := int(binary.LittleEndian.Uint16(header[vtable+entry:]))
	if offset == 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint64(header[table+offset:]))
}

// refit makes the manifest fit its files, as a hand that knows the format could;
// false if it cannot be read any more.
func refit(f models.Files) bool {
	var m models.Manifest
	if json.Unmarshal(f[models.ManifestFile], &m) != nil {
		return false
	}
	for i := range m.Files {
		h := &m.Files[i]
		sum := sha256.Sum256(f[h.Name])
		h.Size, h.SHA256 = len(f[h.Name]), hex.EncodeToString(sum[:])
	}
	m.Hash = ""
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return false
	}
	sum := sha256.Sum256(append(b, '\n'))
	m.Hash = hex.EncodeToString(sum[:])
	if b, err = json.MarshalIndent(m, "", " "); err != nil {
		return false
	}
	f[models.ManifestFile] = append(b, '\n')
	return true
}
