package serve

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
)

// eachLine calls do with each line of a body that is not white space alone, and its row
// from 0.
func eachLine(body []byte, most int, what string, do func(text []byte, row, line int) error) error {
	row, number := 0, 0
	for line := range bytes.Lines(body) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if row == most {
			return tooMany(most, what)
		}
		if err := do(line, row, number); err != nil {
			p := *problemOf(err)
			p.Line = number
			return &p
		}
		row++
	}
	return nil
}

// eachItem calls do with each element of a body that is an array, and its row from 0,
// or else with all of it and row -1.
func eachItem(body []byte, most int, what string, do func(text []byte, row, line int) error) error {
	scan := scanner{text: body}
	if err := scan.validUTF8(); err != nil {
		return err
	}
	scan.at = 0
	if scan.next() != '[' {
		return do(body, -1, 0)
	}
	scan.at++
	for row := 0; ; row++ {
		if b := scan.next(); b == ']' && row == 0 {
			scan.at++
			return scan.end()
		}
		if row == most {
			return tooMany(most, what)
		}
		start := scan.at
		scan.pointer = "/" + strconv.Itoa(row)
		if err := scan.skip(2); err != nil {
			return err
		}
		if err := do(body[start:scan.at], row, 0); err != nil {
			return err
		}
		if scan.next() == ']' {
			scan.at++
			scan.pointer = ""
			return scan.end()
		}
		if err := scan.take(','); err != nil {
			return err
		}
	}
}

func tooMany(most int, what string) error {
	return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("there are more than %d %s: send them in several requests", most, what))
}
