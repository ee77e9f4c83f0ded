package notebook

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Data is the machine-readable data of one output.
type Data struct {
	// Cell is the number that stands before the cell, In [n]; its place among the
	// executable cells where it has none.
	Cell int
	MIME string
	JSON json.RawMessage
}

// dataPrefix and dataSuffix are around the kind of result in a MIME type of ours,
// such as application/vnd.evalnas.result.v1+json.
const dataPrefix, dataSuffix = "application/vnd.evalnas.", "+json"

// kindOf is what lies between, "result" there; "" for other MIME types.
func kindOf(mime string) string {
	kind, ours := strings.CutPrefix(mime, dataPrefix)
	kind, json := strings.CutSuffix(kind, dataSuffix)
	if !ours || !json {
		return ""
	}
	kind, _, _ = strings.Cut(kind, ".")
	return kind
}

// data is the output's data of ours: its kind, "" where it has none.
func (o *Output) data() (kind, mime string, v any) {
	for _, mime := range slices.Sorted(maps.Keys(o.Data)) {
		if kind := kindOf(mime); kind != "" {
			return kind, mime, o.Data[mime]
		}
	}
	return "", "", nil
}

// Data lists what the notebook's outputs hold of a MIME type, "" for all of ours, in
// their order. What is shown twice is listed twice.
func (nb *Notebook) Data(mime string) ([]Data, error) {
	var out []Data
	for n, c := range nb.Executable() {
		for _, o := range c.Outputs {
			_, found, v := o.data()
			if found == "" || mime != "" && found != mime {
				continue
			}
			raw, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			d := Data{Cell: n + 1, MIME: found, JSON: raw}
			if c.Count != nil {
				d.Cell = *c.Count
			}
			out = append(out, d)
		}
	}
	return out, nil
}

// provenance is what the data of a notebook say of where they were computed. A
// list that is empty is not known.
type provenance struct {
	numerics, engines, devices []string
}

func (nb *Notebook) provenance() provenance {
	var p provenance
	for _, c := range nb.Cells {
		for _, o := range c.Outputs {
			_, _, v := o.data()
			m, _ := v.(map[string]any)
			if n, ok := m["numerics"].(json.Number); ok {
				p.numerics = append(p.numerics, n.String())
			}
			if n, ok := m["engine"].(json.Number); ok {
				p.engines = append(p.engines, n.String())
			}
			devices, _ := m["devices"].([]any)
			for _, d := range devices {
				if text, ok := d.(string); ok {
					p.devices = append(p.devices, text)
				}
			}
		}
	}
	for _, list := range []*[]string{&p.numerics, &p.engines, &p.devices} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return p
}
