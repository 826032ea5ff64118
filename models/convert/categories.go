package convert

import (
	"encoding/json"
	"strings"
)

// pandasCategories starts the last line of a LightGBM file: the categories of the
// pandas columns of such a type, in the order of the columns, as JSON.
const pandasCategories = "pandas_categorical:"

// readCategories reads what follows the trees.
func (l *lightgbm) readCategories() error {
	for l.lines.next() {
		text, ok := strings.CutPrefix(l.lines.text, pandasCategories)
		if !ok {
			continue
		}
		var columns [][]json.RawMessage
		if err := json.Unmarshal([]byte(text), &columns); err != nil {
			return l.lines.fault("%s %w", pandasCategories, err)
		}
		l.texts = make([][]string, len(columns))
		for j, column := range columns {
			l.texts[j] = make([]string, len(column))
			for k, value := range column {
				l.texts[j][k] = categoryText(value)
			}
		}
	}
	if err := l.lines.scanner.Err(); err != nil {
		return l.lines.fault("%w", err)
	}
	return nil
}

// categoryText is a category as text: a string without its quotes, else as it is
// written.
func categoryText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil && string(value) != "null" {
		return text
	}
	return string(value)
}

// nameCategories gives the features that are categories their texts, if there is
// no doubt which is whose: the file names no columns, and lists ordered pandas
// categories, which are numbers to LightGBM, among the others.
func (l *lightgbm) nameCategories(m *Model, levels []int) {
	var places []int
	for j, n := range levels {
		if n > 0 {
			places = append(places, j)
		}
	}
	if len(places) != len(l.texts) {
		return
	}
	for k, j := range places {
		if levels[j] > len(l.texts[k]) {
			return
		}
	}
	for k, j := range places {
		m.Categories[j] = l.texts[k]
		levels[j] = len(l.texts[k])
	}
}
