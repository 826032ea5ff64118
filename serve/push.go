package serve

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"propensity/models"
	"propensity/models/registry"
)

// tarType is the media type of a version's files.
const tarType = "application/x-tar"

// versionsAnswer are the versions of a model.
type versionsAnswer struct {
	Model    string          `json:"model"`
	Versions []listedVersion `json:"versions"`
}

func (s *Server) listVersions(c *gin.Context) {
	name, err := modelName(c)
	if err == nil {
		_, err = s.aliases(name)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	l := s.listModel(name)
	if l.Cause != "" {
		s.fail(c, refuse(http.StatusServiceUnavailable, "the versions of model "+name+" cannot be listed: "+l.Cause))
		return
	}
	s.readJSON(c, versionsAnswer{name, l.Versions})
}

// pushedAnswer is a version that was taken in.
type pushedAnswer struct {
	Model   string `json:"model"`
	Version int    `json:"version"`
	Hash    string `json:"hash"`
	// Published says that the artifact was new: the same one again has its number still.
	Published bool `json:"published"`
}

// putVersion takes in a version, its files as a tar: they are held against their hashes
// and replayed, and only then is there a version, which no alias points at. The number is
// the registry's to give; the very same artifact again changes nothing.
func (s *Server) putVersion(c *gin.Context) {
	name, err := modelName(c)
	if err == nil {
		err = wantType(c.Request, tarType)
	}
	if err == nil {
		select { // one at a time: each is held in memory
		case s.pushing <- struct{}{}:
			defer func() { <-s.pushing }()
		default:
			err = refuse(http.StatusServiceUnavailable, "another version is being taken in: send it again")
		}
	}
	if err != nil {
		c.Header("Connection", "close") // the body stays unread
		s.fail(c, err)
		return
	}
	files, err := s.readVersion(c)
	if err != nil {
		c.Header("Connection", "close")
		s.fail(c, err)
		return
	}
	number, published, err := s.cfg.Registry.Import(c.Request.Context(), name, files, changeBy(c, "pushed"))
	switch {
	case errors.Is(err, models.ErrReplay):
		err = refuse(http.StatusUnprocessableEntity, "the artifact does not give the scores recorded in it: nothing was published")
	case errors.Is(err, models.ErrFormat):
		err = refuse(http.StatusUnprocessableEntity, "the artifact is of another file format than this program reads: nothing was published")
	case errors.Is(err, models.ErrDamaged):
		err = refuse(http.StatusUnprocessableEntity, "the artifact is damaged or not whole: nothing was published")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	manifest, err := models.ParseManifest(files[models.ManifestFile])
	if err != nil { // the registry has read it
		s.fail(c, err)
		return
	}
	status := http.StatusOK
	if published {
		status = http.StatusCreated
		c.Header("Location", fmt.Sprintf("/v1/models/%s@%d", name, number))
	}
	s.audit(c, "version.push", fmt.Sprintf("%s@%d, hash %s", name, number, manifest.Hash))
	s.refreshOne(name, false) // a model's first version
	writeJSON(c, status, "application/json", pushedAnswer{name, number, manifest.Hash, published})
}

// readVersion reads the files of a version as they come; the time to read starts anew
// with every part.
func (s *Server) readVersion(c *gin.Context) (models.Files, error) {
	const padding = 1 << 20 // headers, and zeros to the end of a block
	control := http.NewResponseController(c.Writer)
	files, err := registry.ReadTar(s.patient(c, control, s.cfg.MaxVersionBytes+padding), s.cfg.MaxVersionBytes)
	if err != nil {
		return nil, err
	}
	_ = control.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout))
	return files, nil
}

// modelVersion is the model and the version of a path.
func modelVersion(c *gin.Context) (name string, number int, err error) {
	if name, err = modelName(c); err != nil {
		return "", 0, err
	}
	text := c.Param("version")
	if number, err = strconv.Atoi(text); err != nil || number < 1 || strconv.Itoa(number) != text {
		return "", 0, refuse(http.StatusBadRequest, fmt.Sprintf("%q is no version: versions are whole numbers from 1", clip(text)))
	}
	return name, number, nil
}

func errNoVersion(name string, number int) error {
	return refuse(http.StatusNotFound, fmt.Sprintf("model %q has no version %d", name, number))
}

// deleteVersion removes a version that neither an alias nor a canary points at.
func (s *Server) deleteVersion(c *gin.Context) {
	name, number, err := modelVersion(c)
	if err == nil {
		if err = s.cfg.Registry.Delete(c.Request.Context(), name, number, changeBy(c, "")); errors.Is(err, registry.ErrNotFound) {
			err = errNoVersion(name, number)
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.audit(c, "version.delete", fmt.Sprintf("%s@%d", name, number))
	s.pinned.drop(func(other string, n int) bool { return other == name && n == number })
	c.Status(http.StatusNoContent)
}

// getFiles gives the files of a version as a tar, once they are found sound.
func (s *Server) getFiles(c *gin.Context) {
	name, number, err := modelVersion(c)
	var files models.Files
	if err == nil {
		if files, err = s.cfg.Registry.Read(name, number); errors.Is(err, registry.ErrNotFound) {
			err = errNoVersion(name, number)
		}
	}
	if err == nil {
		_, err = models.ParseArtifact(files)
	}
	var out bytes.Buffer
	if err == nil {
		err = registry.WriteTar(&out, files)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(filesTimeout))
	s.read(c, tarType, out.Bytes(), nil)
}

// filesTimeout bounds how long a client may take to fetch a version.
const filesTimeout = 10 * time.Minute
