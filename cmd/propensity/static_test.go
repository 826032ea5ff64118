package main

import (
	"debug/elf"
	"os"
	"runtime"
	"testing"
)

// released is the program as it is released, which PROPENSITY_BINARY names:
//
//	CGO_ENABLED=0 go build -trimpath -tags nomsgpack -ldflags='-s -w' ./cmd/propensity
func released(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PROPENSITY_BINARY")
	if path == "" {
		t.Skip("PROPENSITY_BINARY names no program")
	}
	return path
}

// The program is below 60 MB and needs no library.
func TestReleasedSize(t *testing.T) {
	path := released(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= 60_000_000 {
		t.Errorf("it has %.1f MB, of less than 60 (docs/decisions/0019-size.md)", float64(info.Size())/1e6)
	}
	t.Logf("%.1f MB", float64(info.Size())/1e6)
	if runtime.GOOS != "linux" {
		return
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it needs %v, %v", libraries, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it needs a dynamic linker")
		}
	}
}
