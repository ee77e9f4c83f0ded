package notebook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Write writes the notebook as nbformat 4.5, at once: a reader finds the old file
// or the new one.
func (nb *Notebook) Write(path string) error {
	data, err := nb.Encode()
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := replaceFile(path, data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func replaceFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".*.ipynb")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error counts
		}
	}()
	if _, err = f.Write(data); err != nil {
		_ = f.Close()
		return err
	}
	mode := os.FileMode(0o644)
	if old, statErr := os.Stat(path); statErr == nil {
		mode = old.Mode().Perm()
	}
	if err = f.Chmod(mode); err != nil {
		_ = f.Close()
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Encode is the notebook as Jupyter writes it: keys in order, one space of
// indentation, texts as lists of lines, so that version control sees lines.
func (nb *Notebook) Encode() ([]byte, error) {
	cells := make([]any, len(nb.Cells))
	for i, c := range nb.Cells {
		cells[i] = c.form()
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(map[string]any{"nbformat": 4, "nbformat_minor": 5, "metadata": nb.Metadata, "cells": cells})
	return b.Bytes(), err
}

func (c *Cell) form() map[string]any {
	form := map[string]any{"cell_type": c.Kind, "id": c.ID, "metadata": c.Metadata, "source": lines(c.Source)}
	if c.Kind == Code {
		outputs := make([]any, len(c.Outputs))
		for i, o := range c.Outputs {
			outputs[i] = o.form()
		}
		form["outputs"], form["execution_count"] = outputs, c.Count
	} else if c.Attachments != nil {
		form["attachments"] = c.Attachments
	}
	return form
}

func (o *Output) form() map[string]any {
	form := map[string]any{"output_type": o.Kind}
	switch o.Kind {
	case Stream:
		form["name"], form["text"] = o.Name, lines(o.Text)
	case Error:
		form["ename"], form["evalue"], form["traceback"] = o.ErrorName, o.ErrorValue, o.Traceback
		if o.Traceback == nil {
			form["traceback"] = []string{}
		}
	default:
		data := make(map[string]any, len(o.Data))
		for mime, v := range o.Data {
			data[mime] = v
			if text, ok := v.(string); ok && !isJSON(mime) && (strings.HasPrefix(mime, "text/") || mime == "image/svg+xml" || mime == "application/javascript") {
				data[mime] = lines(text)
			}
		}
		form["data"], form["metadata"] = data, orEmpty(o.Metadata)
		if o.Kind == ExecuteResult {
			form["execution_count"] = o.Count
		}
	}
	return form
}

// lines splits a text behind its line breaks; the parts make it again.
func lines(text string) []string {
	parts := strings.SplitAfter(text, "\n")
	if parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return parts
}
