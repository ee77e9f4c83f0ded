package commands

import (
	"fmt"

	lib "go.starlark.net/starlark"

	"evalnas/kernel/starlark"
	"evalnas/nasapi/space"
)

var cellSpaceCommand = &starlark.Command{
	Name: "cell_space",
	Params: []starlark.Param{
		{Name: "nodes", Type: "int", Doc: fmt.Sprintf("intermediate nodes of a cell, 1 to %d", space.MaxCellNodes)},
		{Name: "ops", Type: "list of str", Doc: "the operations of an edge: those of `darts_space`, or any names where a trainer of your own builds the networks"},
		{Name: "edges_per_node", Default: lib.MakeInt(2), Type: "int", Doc: "edges into a node, 1 to nodes + 1, from different earlier states; where there are fewer states, one from each"},
		{Name: "share", Default: lib.False, KeywordOnly: true, Type: "bool", Doc: "True: one cell is the normal and the reduction cell"},
	},
	Doc: `A DARTS-like space of your own: a normal and a reduction cell of nodes, edges and operations.

Each node has edges_per_node edges from different earlier states (the two inputs of the cell and
the nodes before it), each with one of the operations, and the cell concatenates its nodes. A
neighbour has another operation or another input on one edge. With nodes=4, edges_per_node=2 and
the seven operations of DARTS the architectures, their hashes and draws are those of
darts_space(nodes=4). A space of at most 20,000,000 architectures can be listed.

Networks can be built, trained and counted of max_pool_3x3, avg_pool_3x3, skip_connect,
sep_conv_3x3, sep_conv_5x5, sep_conv_7x7, dil_conv_3x3, dil_conv_5x5 and conv_7x1_1x7. Other
operations are names: everything but the networks works.

    space = cell_space(nodes=3, ops=["sep_conv_3x3", "max_pool_3x3", "skip_connect"], edges_per_node=2)
    space.size                  # 172,186,884 = (1 * 3 * 6 * 3**6)**2
    space.sample(1268)
    search("evolution", space, params(), seeds=range(3), budget=100)`,
	Run: runCellSpace,
}

func runCellSpace(c *starlark.Call) (lib.Value, error) {
	var o space.CellsOptions
	var err error
	if o.Nodes, err = c.Int("nodes"); err != nil {
		return nil, err
	}
	if o.Operations, err = stringsOf(c.Value("ops"), "operation names"); err != nil {
		return nil, named(c, "TypeError", `ops %w, such as ["sep_conv_3x3", "skip_connect"]`, err)
	}
	if o.PerNode, err = c.Int("edges_per_node"); err != nil {
		return nil, err
	}
	if o.PerNode == 0 {
		o.PerNode = -1 // which is refused: 0 is the default of the options alone
	}
	if o.Share, err = c.Bool("share"); err != nil {
		return nil, err
	}
	s, err := space.Cells(o)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return newSpaceValue(s), nil
}
