package space

import (
	"evalnas/nasapi/nearest"
	"fmt"
)

// FromSpec builds the space that a Spec describes.
func FromSpec(s Spec) (Space, error) {
	switch s.Name {
	case nasbenchName:
		n, err := NASBench101(s.MaxVertices)
		if err != nil {
			return nil, err
		}
		return n, nil
	case "darts":
		d, err := DARTS(s.Nodes)
		if err != nil {
			return nil, err
		}
		return d, nil
	}
	names := []string{nasbenchName, "darts"}
	hint := ""
	if near := nearest.Name(s.Name, names); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return nil, fmt.Errorf("unknown space %q (allowed: %s, %s)%s", abbreviate(s.Name), names[0], names[1], hint)
}
