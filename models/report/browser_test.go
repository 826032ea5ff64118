package report

import (
	"context"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A real browser shows the page, light and dark, wide and narrow, and has nothing
// to say in its console.
func TestInABrowser(t *testing.T) {
	browser := os.Getenv("PROPENSITY_CHROMIUM")
	if browser == "" {
		t.Skip("PROPENSITY_CHROMIUM names no Chromium to show the page in")
	}
	dir := t.TempDir()
	m, e, c := rich()
	path := filepath.Join(dir, "report.html")
	if err := os.WriteFile(path, []byte(rendered(t, m, e, c)), 0o644); err != nil {
		t.Fatal(err)
	}
	shown := map[string]float64{}
	for _, look := range []struct{ name, scheme, size string }{{"light", "1", "1050,1600"}, {"dark", "0", "1050,1600"}, {"narrow", "1", "390,1600"}} {
		picture := filepath.Join(dir, look.name+".png")
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		command := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--user-data-dir="+filepath.Join(dir, "profile"),
			"--window-size="+look.size, "--blink-settings=preferredColorScheme="+look.scheme, "--screenshot="+picture, "file://"+path)
		said, err := command.CombinedOutput()
		stop()
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if strings.Contains(string(said), "CONSOLE") {
			t.Errorf("%s: %s", look.name, said)
		}
		light, colours := looksOf(t, picture)
		if colours < 50 {
			t.Errorf("%s: only %d colours", look.name, colours)
		}
		shown[look.name] = light
	}
	if shown["light"] < 0.8 || shown["narrow"] < 0.8 || shown["dark"] > 0.3 {
		t.Errorf("how light the pages are: %v", shown)
	}
}

// looksOf is how light a picture is, 0 to 1, and how many colours it has.
func looksOf(t *testing.T, path string) (light float64, colours int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var picture image.Image
	if picture, err = png.Decode(f); err != nil {
		t.Fatal(err)
	}
	seen := map[[3]uint32]bool{}
	box := picture.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			r, g, b, _ := picture.At(x, y).RGBA()
			seen[[3]uint32{r, g, b}] = true
			light += float64(r+g+b) / (3 * 65535)
		}
	}
	return light / float64(box.Dx()*box.Dy()), len(seen)
}
