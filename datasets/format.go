package datasets

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Format is a file format.
type Format uint8

// The file formats. Zero is no format: it is found from the name or content.
const (
	CSV Format = iota + 1
	Parquet
	ArrowFile   // Arrow IPC with a footer, also called Feather 2
	ArrowStream // Arrow IPC without one
	NDJSON      // one flat JSON object a line
)

var formatNames = [...]string{"", "csv", "parquet", "arrow", "arrow-stream", "ndjson"}

// String gives the name used in flags and messages.
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return "format(" + strconv.Itoa(int(f)) + ")"
}

// ParseFormat reads a name that String writes, or an extension without its dot.
func ParseFormat(name string) (Format, error) {
	for f := CSV; f <= NDJSON; f++ {
		if formatNames[f] == name {
			return f, nil
		}
	}
	if f := formatOfExtension("." + name); f != 0 {
		return f, nil
	}
	return 0, fmt.Errorf("unknown format %q: use csv, parquet, arrow, arrow-stream or ndjson", name)
}

func formatOfExtension(ext string) Format {
	switch strings.ToLower(ext) {
	case ".csv", ".tsv":
		return CSV
	case ".parquet":
		return Parquet
	case ".arrow", ".feather", ".ipc":
		return ArrowFile
	case ".arrows":
		return ArrowStream
	case ".ndjson", ".jsonl":
		return NDJSON
	}
	return 0
}

// formatOfPath is the format that a name promises (0: none) and the extension of
// its compression ("" if there is none).
func formatOfPath(path string) (f Format, compression string) {
	ext := filepath.Ext(path)
	if e := strings.ToLower(ext); e == ".gz" || e == ".zst" {
		compression = e
		ext = filepath.Ext(strings.TrimSuffix(path, ext))
	}
	return formatOfExtension(ext), compression
}

func (f Format) isArrow() bool { return f == ArrowFile || f == ArrowStream }

const (
	magicParquet     = "PAR1"
	magicArrowFile   = "ARROW1"
	magicArrowStream = "\xff\xff\xff\xff" // the mark before every message since Arrow 0.15
	magicGzip        = "\x1f\x8b"
	magicZstd        = "\x28\xb5\x2f\xfd"
	byteOrderMark    = "\xef\xbb\xbf"
)

// formatOfContent tells the format from the first bytes; what is none of the
// others is taken for CSV.
func formatOfContent(head []byte) Format {
	switch {
	case bytes.HasPrefix(head, []byte(magicParquet)):
		return Parquet
	case bytes.HasPrefix(head, []byte(magicArrowFile)):
		return ArrowFile
	case bytes.HasPrefix(head, []byte(magicArrowStream)):
		return ArrowStream
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte(byteOrderMark)), " \t\r\n")
	if len(text) > 0 && text[0] == '{' {
		return NDJSON
	}
	return CSV
}
