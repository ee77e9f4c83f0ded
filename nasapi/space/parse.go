package space

import (
	"encoding/json"
	"fmt"
)

// ParseArch reads what an architecture's MarshalJSON wrote, given the kind of space
// that its Space method names. Unlike Space.Parse it asks for no membership: a
// published genotype may have more operations than any space that is searched here.
func ParseArch(kind string, raw json.RawMessage) (Arch, error) {
	switch kind {
	case "nasbench101":
		return ParseCell(raw)
	case dartsName:
		return genotypeFromJSON(raw, checkDARTSOp)
	case cellsName:
		return genotypeFromJSON(raw, checkOpName)
	case nasbench201Name:
		return OpenNASBench201().Parse(raw)
	}
	return nil, fmt.Errorf("no space is called %.40q: an architecture is of nasbench101, darts, cells or nasbench201", kind)
}
