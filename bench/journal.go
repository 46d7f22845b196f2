package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// A record is a line of a file of results: one of its fields is set.
type record struct {
	Header *preface `json:",omitempty"`
	Sample *sample  `json:",omitempty"`
	Footer *footer  `json:",omitempty"`
}

// A journal keeps records, and writes them to a file as they come, so that a run
// that ends early has left what it measured.
type journal struct {
	file    *os.File // nil: none
	records []record
}

// openJournal appends to a file; an empty name is none.
func openJournal(name string) (*journal, error) {
	if name == "" {
		return &journal{}, nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	return &journal{file: f}, err
}

func (j *journal) write(r record) error {
	j.records = append(j.records, r)
	if j.file == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(line, '\n'))
	return err
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}

// readJournal reads a file of results.
func readJournal(name string) (records []record, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, maxLine)
	for line := 1; scan.Scan(); line++ {
		var r record
		if err := json.Unmarshal(scan.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		records = append(records, r)
	}
	return records, scan.Err()
}
