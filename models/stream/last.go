package stream

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"

	"propensity/datasets"
)

// ErrLast is wrapped by errors about the scores of an earlier run.
var ErrLast = errors.New("no scores of an earlier run")

// Last is what an earlier run said of each account: some 33 bytes an account, whose name
// is kept as a hash of 128 bits.
type Last struct {
	entries []lastScore // by hash
	bands   []string
	seen    []bool // by Changes
}

type lastScore struct {
	account     [16]byte
	probability float64
	band        uint8 // index of bands
}

// ReadLast reads the file of an earlier run, of which it needs account, probability and
// band. An account that is there twice is an error.
func ReadLast(path string, o datasets.ReadOptions) (*Last, error) {
	o.Kinds = map[string]datasets.Kind{"account": datasets.Text, "probability": datasets.Number, "band": datasets.Text}
	in, err := datasets.Open(path, o)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	l, err := readLast(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

func readLast(in Source) (*Last, error) {
	for _, name := range []string{"account", "probability", "band"} {
		if !slices.Contains(in.Columns(), name) {
			return nil, fmt.Errorf("%w: it has no column %s", ErrLast, name)
		}
	}
	l := &Last{}
	for first := 1; ; {
		t, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := l.add(t, first); err != nil {
			return nil, err
		}
		first += t.Rows()
	}
	slices.SortFunc(l.entries, func(a, b lastScore) int { return bytes.Compare(a.account[:], b.account[:]) })
	for i := 1; i < len(l.entries); i++ {
		if l.entries[i].account == l.entries[i-1].account {
			return nil, fmt.Errorf("%w: an account is there twice: a run is compared with scores of one moment", ErrLast)
		}
	}
	l.seen = make([]bool, len(l.entries))
	return l, nil
}

func (l *Last) add(t *datasets.Table, first int) error {
	accounts, probabilities, bands := t.Column("account"), t.Column("probability"), t.Column("band")
	for i := range t.Rows() {
		account, p, band := accounts.At(i), probabilities.At(i), bands.At(i)
		if account.Missing() || p.Missing() || band.Missing() || p.Number < 0 || p.Number > 1 {
			return fmt.Errorf("%w: row %d lacks an account, a probability or a band", ErrLast, first+i)
		}
		k := slices.Index(l.bands, band.Text)
		if k < 0 {
			if k = len(l.bands); k == math.MaxUint8 {
				return fmt.Errorf("%w: it has more than %d bands", ErrLast, k)
			}
			l.bands = append(l.bands, band.Text)
		}
		l.entries = append(l.entries, lastScore{hashOf(account.Text), p.Number, uint8(k)})
	}
	return nil
}

func hashOf(account string) (out [16]byte) {
	sum := sha256.Sum256([]byte(account))
	copy(out[:], sum[:])
	return out
}

// find gives the index of an account, -1 if the run did not know it.
func (l *Last) find(account string) int {
	hash := hashOf(account)
	i := sort.Search(len(l.entries), func(i int) bool { return bytes.Compare(l.entries[i].account[:], hash[:]) >= 0 })
	if i == len(l.entries) || l.entries[i].account != hash {
		return -1
	}
	return i
}
