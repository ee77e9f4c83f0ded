package space

import (
	"fmt"
	"strings"

	"evalnas/nasapi/nearest"
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
	case dartsName:
		d, err := DARTS(s.Nodes)
		if err != nil {
			return nil, err
		}
		return d, nil
	case cellsName:
		ops, err := parseOperations(s.Operations)
		if err != nil {
			return nil, err
		}
		return Cells(CellsOptions{Nodes: s.Nodes, Operations: ops, PerNode: s.EdgesPerNode, Share: s.Share})
	case nasbench201Name:
		return OpenNASBench201(), nil
	case choicesName:
		if len(s.Choices) > maxChoices {
			return nil, fmt.Errorf("choices: a definition of %d bytes: at most %d are allowed", len(s.Choices), maxChoices)
		}
		picks, err := ParsePicks(s.Choices)
		if err != nil {
			return nil, err
		}
		return Choices(picks)
	case rowsName:
		return rowsOfTable(s.Table)
	}
	names := []string{nasbenchName, dartsName, cellsName, nasbench201Name, choicesName}
	hint := ""
	if near := nearest.Name(s.Name, names); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return nil, fmt.Errorf("unknown space %q (allowed: %s)%s", abbreviate(s.Name), strings.Join(names, ", "), hint)
}
