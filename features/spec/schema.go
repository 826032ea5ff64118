package spec

import _ "embed"

//go:embed schema.json
var schema string

// Schema is the JSON Schema (2020-12) of the whole project file, what is of training
// included, for editors.
func Schema() string { return schema }
