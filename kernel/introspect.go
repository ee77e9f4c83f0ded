package kernel

import (
	"errors"
	"unicode/utf8"
)

// codeAt is the part of the requests about code that they share. cursor_pos
// counts code points.
type codeAt struct {
	Code   string `json:"code"`
	Cursor *int   `json:"cursor_pos"` // missing: the end
	Detail int    `json:"detail_level"`
}

func (c codeAt) byteOffset() int {
	if c.Cursor == nil {
		return len(c.Code)
	}
	return byteOffset(c.Code, *c.Cursor)
}

// byteOffset converts a count of code points to a byte offset. Positions
// outside the code mean its ends: some clients count UTF-16 units.
func byteOffset(code string, points int) int {
	if points <= 0 {
		return 0
	}
	for i := range code {
		if points == 0 {
			return i
		}
		points--
	}
	return len(code)
}

// codePoints converts a byte offset to a count of code points; an offset
// inside a character means the character's start.
func codePoints(code string, offset int) int {
	offset = min(max(offset, 0), len(code))
	for offset > 0 && offset < len(code) && !utf8.RuneStart(code[offset]) {
		offset--
	}
	return utf8.RuneCountInString(code[:offset])
}

func (s *server) complete(m *message) (object, error) {
	var req codeAt
	if err := decode(m, &req); err != nil {
		return nil, err
	}
	c := s.lang.Complete(req.Code, req.byteOffset())
	start := codePoints(req.Code, c.Start)
	end := max(start, codePoints(req.Code, c.End))
	texts := make([]string, len(c.Matches))
	types := make([]object, len(c.Matches))
	for i, match := range c.Matches {
		texts[i] = match.Text
		types[i] = object{"start": start, "end": end, "text": match.Text, "type": match.Type}
		if match.Signature != "" {
			types[i]["signature"] = match.Signature
		}
	}
	return object{
		"matches": texts, "cursor_start": start, "cursor_end": end,
		// JupyterLab takes icons and signatures from here.
		"metadata": object{"_jupyter_types_experimental": types},
	}, nil
}

func (s *server) inspect(m *message) (object, error) {
	var req codeAt
	if err := decode(m, &req); err != nil {
		return nil, err
	}
	b := s.lang.Inspect(req.Code, req.byteOffset(), req.Detail)
	content := bundleContent(b)
	content["found"] = b != nil
	return content, nil
}

func (s *server) isComplete(m *message) (object, error) {
	var req codeAt
	if err := decode(m, &req); err != nil {
		return nil, err
	}
	c := s.lang.IsComplete(req.Code)
	switch c.Status {
	case "complete", "invalid", "unknown":
		return object{"status": c.Status}, nil
	case "incomplete":
		return object{"status": c.Status, "indent": c.Indent}, nil
	}
	return nil, errors.New("the language answered is_complete with the status " + c.Status)
}

// bundleContent is a bundle's data and metadata, objects even if there are
// none.
func bundleContent(b *Bundle) object {
	content := object{"data": object{}, "metadata": object{}}
	if b == nil {
		return content
	}
	if b.Data != nil {
		content["data"] = b.Data
	}
	if b.Metadata != nil {
		content["metadata"] = b.Metadata
	}
	return content
}
