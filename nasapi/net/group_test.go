package net

import (
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// recorder keeps the groups that a graph hands to its device.
type recorder struct {
	fakeDevice
	groups *[][]nn.Op
}

func (r recorder) Forward(_ nn.Mode, group []nn.Op) error {
	*r.groups = append(*r.groups, group)
	return nil
}

func groupsOf(t *testing.T, arch space.Arch, cfg Config, mode nn.Mode) [][]nn.Op {
	t.Helper()
	var groups [][]nn.Op
	p := mustBuild(t, mustNew(t, recorder{groups: &groups}, arch, cfg), mode, 2)
	if err := p.Graph.Plan(); err != nil {
		t.Fatal(err)
	}
	if err := p.Graph.Forward(); err != nil {
		t.Fatal(err)
	}
	return groups
}

func ends(op nn.Op) (reads []*nn.Var, out *nn.Var) {
	switch o := op.(type) {
	case *nn.Conv:
		return []*nn.Var{o.X}, o.Out
	case *nn.Pool:
		return []*nn.Var{o.X}, o.Out
	case *nn.Sum:
		return o.Sources, o.Out
	case *nn.GlobalPool:
		return []*nn.Var{o.X}, o.Out
	case *nn.Linear:
		return []*nn.Var{o.X}, o.Out
	case *nn.CrossEntropy:
		return []*nn.Var{o.Logits}, nil
	}
	panic("an operator that no network uses")
}

// What the engine asks of groups: no operator reads what another one of its group
// writes, no two write one value, and a concatenation and a part of it are not read
// in one group.
func TestGroupsDoNotDependOnThemselves(t *testing.T) {
	archs := []space.Arch{everything(t), residual(t), inception(t), mustCell(t, [][]int{{0, 1}, {0, 0}}, "input", "output")}
	for _, g := range genotypes(t) {
		archs = append(archs, g)
	}
	for _, arch := range archs {
		for _, mode := range []nn.Mode{nn.Train, nn.Evaluate} {
			_, headed := arch.(*space.Genotype)
			for _, group := range groupsOf(t, arch, Config{Channels: 8, Cells: 6, Auxiliary: headed}, mode) {
				checkGroup(t, arch, group)
			}
		}
	}
}

func checkGroup(t *testing.T, arch space.Arch, group []nn.Op) {
	t.Helper()
	if len(group) == 0 {
		t.Errorf("%v: an empty group", arch)
	}
	written := map[*nn.Var]bool{}
	var read []*nn.Var
	for _, op := range group {
		reads, out := ends(op)
		if written[out] && out != nil {
			t.Errorf("%v: a group writes %v twice", arch, out.Values)
		}
		written[out] = true
		read = append(read, reads...)
	}
	for _, v := range read {
		if written[v] {
			t.Errorf("%v: a group reads %v, which it writes", arch, v.Values)
		}
		for _, other := range read {
			if isPartOf(v.Values, other.Values) {
				t.Errorf("%v: a group reads %v and a part of it", arch, other.Values)
			}
		}
	}
}

func isPartOf(part, whole *nn.Tensor) bool {
	return len(whole.Channels) > 1 && len(part.Channels) == 1 && part.Pix == whole.Pix &&
		part.Off >= whole.Off && part.Off < whole.Off+whole.Pix
}

// Operations that read one state are one group, so that a device prepares it once.
func TestReadersOfAStateAreOneGroup(t *testing.T) {
	groups := groupsOf(t, genotypes(t)["DARTS_V2"], Config{Cells: 3}, nn.Evaluate)
	seen := map[*nn.Var]int{} // group that reads it in a convolution or pool
	for i, group := range groups {
		for _, op := range group {
			if _, isSum := op.(*nn.Sum); isSum {
				continue
			}
			reads, _ := ends(op)
			if before, again := seen[reads[0]]; again && before != i && len(reads[0].Values.Channels) == 1 && reads[0].Values.Channels[0] != stemFactor*36 {
				t.Errorf("groups %d and %d read %v", before, i, reads[0].Values)
			}
			seen[reads[0]] = i
		}
	}
}

// A pass over memory for every addition, no more: nothing is copied but the input
// that a cell concatenates, and what is added is read as it was stored.
func TestNothingIsCopiedInVain(t *testing.T) {
	for name, g := range genotypes(t) {
		for _, group := range groupsOf(t, g, Config{Cells: 6, Channels: 8}, nn.Evaluate) {
			for _, op := range group {
				sum, ok := op.(*nn.Sum)
				if ok && len(sum.Sources) == 1 && sum.Sources[0].Norm == nil {
					t.Errorf("%s: %v is copied", name, sum.Sources[0].Values)
				}
			}
		}
	}
}

// The plans of the published networks at their batch size, tensors alone, as they were
// when this was written and no larger.
func TestMemoryOfThePublishedNetworks(t *testing.T) {
	for name, g := range genotypes(t) {
		n := mustNew(t, paper{}, g, Config{Auxiliary: true})
		train, evaluate := mustBuild(t, n, nn.Train, 96).Graph.Bytes(), mustBuild(t, n, nn.Evaluate, 96).Graph.Bytes()
		if evaluate > 320e6 || train > 4.5e9 || train < 2*evaluate {
			t.Errorf("%s: %.0f MB to train, %.0f MB to evaluate", name, float64(train)/1e6, float64(evaluate)/1e6)
		}
		if name == "DARTS_V2" && train > 2.8e9 {
			t.Errorf("%s: %.0f MB to train", name, float64(train)/1e6)
		}
	}
}
