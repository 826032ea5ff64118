package registry

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"propensity/models"
)

// ErrTar is wrapped by errors about a tar that is not that of one version.
var ErrTar = errors.New("no tar of a version")

// WriteTar writes the files of a version as a tar (POSIX.1-1988): the manifest first,
// then by name, without times and owners, so that the same files are the same bytes.
func WriteTar(w io.Writer, f models.Files) error {
	names := slices.Sorted(maps.Keys(f))
	if i := slices.Index(names, models.ManifestFile); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, models.ManifestFile)
	}
	t := tar.NewWriter(w)
	for _, name := range names {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(f[name])), Mode: 0o644, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := t.Write(f[name]); err != nil {
			return err
		}
	}
	return t.Close()
}

// ReadTar reads the files of a version from a tar of any common format, at most so many
// bytes of files in all. It holds nothing but the files of an artifact, each once and by
// its bare name: a path, a link, a directory, a sparse file or anything behind its end is
// ErrTar. What the files hold is not judged.
func ReadTar(r io.Reader, most int64) (models.Files, error) {
	t := tar.NewReader(r)
	f := models.Files{}
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, tarError(err)
		}
		switch {
		case h.Typeflag != tar.TypeReg || sparse(h):
			return nil, fmt.Errorf("%w: %.80q is not a plain file", ErrTar, h.Name)
		case f[h.Name] != nil:
			return nil, fmt.Errorf("%w: file %s stands there twice", ErrTar, h.Name)
		}
		if err := checkFile(h.Name, h.Size); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTar, err)
		}
		if h.Size > most {
			return nil, fmt.Errorf("%w: its files are larger than may be taken in: %s has %d bytes, %d are left", ErrTar, h.Name, h.Size, most)
		}
		most -= h.Size
		// A buffer that grows: the size is only what the header says.
		b := bytes.NewBuffer([]byte{})
		if _, err := io.Copy(b, t); err != nil {
			return nil, tarError(err)
		}
		f[h.Name] = b.Bytes()
	}
	// The padding of a tar is zeros, to a block of any size.
	rest := make([]byte, 4096)
	for {
		n, err := r.Read(rest)
		if len(bytes.Trim(rest[:n], "\x00")) > 0 {
			return nil, fmt.Errorf("%w: something follows its end", ErrTar)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(f) == 0 {
		return nil, fmt.Errorf("%w: it has no files", ErrTar)
	}
	return f, nil
}

// sparse is a file of which a small tar can claim any size.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") {
			return true
		}
	}
	return false
}

// tarError tells a tar that is wrong from a stream that broke off.
func tarError(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrTar, err)
	}
	return err
}
