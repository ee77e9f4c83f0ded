package nasapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"evalnas/nasapi/child"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// askedPolicy is a program that is asked for architectures and told what they are worth, as
// docs/child_protocol.md specifies.
type askedPolicy struct {
	name    string
	program *child.Program
	study   string
	params  policy.Config
}

// Messages to a policy.
type (
	policyInit struct {
		Protocol   int           `json:"protocol"`
		Role       string        `json:"role"` // "policy"
		Space      spaceMessage  `json:"space"`
		Seed       int64         `json:"seed"`
		Budget     int           `json:"budget"`
		Parameters policy.Config `json:"parameters"`
	}
	spaceMessage struct {
		Name       string          `json:"name"` // of space.Spec
		Expression string          `json:"expression"`
		Size       json.Number     `json:"size"`
		Options    json.RawMessage `json:"options,omitempty"` // of choices: name to list

		// Of spaces of cells.
		MaxVertices  int             `json:"max_vertices,omitempty"`
		Nodes        int             `json:"nodes,omitempty"`
		Operations   json.RawMessage `json:"operations,omitempty"`
		EdgesPerNode int             `json:"edges_per_node,omitempty"`
	}
	askMessage struct {
		Number int `json:"number"`
	}
	tellMessage struct {
		Number       int             `json:"number"`
		Architecture json.RawMessage `json:"architecture"`
		Hash         string          `json:"hash"`
		Value        float64         `json:"value"`
	}
	drawnMessage struct {
		Architectures []json.RawMessage `json:"architectures"`
		Hashes        []string          `json:"hashes"`
	}
)

// Messages from a policy that want more than their name.
type (
	sampleMessage struct {
		Count int `json:"count"`
	}
	ofMessage struct {
		Architecture json.RawMessage `json:"architecture"`
	}
	logMessage struct {
		Event  string             `json:"event"`
		Values map[string]float64 `json:"values"`
	}
)

// maxDrawn is how many architectures a program may ask for at once.
const maxDrawn = 10_000

func (a *askedPolicy) Search(ctx context.Context, p *policy.Problem) (err error) {
	if err := a.program.Verify(a.study); err != nil {
		return err
	}
	process, err := child.Start(a.program, child.Options{Dir: a.program.Folder(a.study), Log: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.Close()) }()
	d := &dialogue{askedPolicy: a, Process: process, p: p, draws: p.Rand(OwnStreams, "space")}
	if err := d.open(ctx); err != nil {
		return err
	}
	for number := 1; number <= p.Budget; number++ {
		arch, raw, err := d.ask(ctx, number)
		if err != nil {
			return err
		}
		if arch == nil {
			return process.End(ctx, "you have said that you are done")
		}
		value, err := p.Evaluate(arch)
		if errors.Is(err, policy.ErrBudget) {
			break
		}
		if err != nil {
			return err
		}
		if err := d.Send("tell", tellMessage{number, raw, arch.Hash(), value}); err != nil {
			return err
		}
	}
	if err := process.End(ctx, "the budget is spent"); err != nil {
		return err
	}
	return policy.ErrBudget
}

// OwnStreams is the policy that random streams of policies of one's own are named by: the same
// one as a process and in a cell draws the same.
const OwnStreams = "own"

// dialogue is one search with a program.
type dialogue struct {
	*askedPolicy
	*child.Process
	p     *policy.Problem
	draws *rng.Stream
	raw   []byte
	logs  int
}

// open introduces the two sides.
func (d *dialogue) open(ctx context.Context) error {
	sp := d.p.Space
	spec := sp.Spec()
	about := spaceMessage{
		Name: spec.Name, Expression: sp.String(), Size: json.Number(sp.Size().String()),
		MaxVertices: spec.MaxVertices, Nodes: spec.Nodes, EdgesPerNode: spec.EdgesPerNode,
	}
	if spec.Choices != "" {
		about.Options = json.RawMessage(spec.Choices)
	}
	if spec.Operations != "" {
		about.Operations = json.RawMessage(spec.Operations)
	}
	err := d.Send("init", policyInit{
		Protocol: child.Protocol, Role: "policy", Space: about, Seed: d.p.Seed, Budget: d.p.Budget, Parameters: d.params,
	})
	if err != nil {
		return err
	}
	m, err := d.Receive(ctx)
	if err != nil {
		return err
	}
	if err := m.CheckReady(); err != nil {
		return fmt.Errorf("%s: %w", d.program, err)
	}
	return nil
}

func (d *dialogue) odd(m child.Message, want string) error {
	return fmt.Errorf("%s said {%q: ...} where %s was expected", d.program, m.Name, want)
}

// ask gets the next architecture, nil where the program is done, and meanwhile does what the
// program asks for. raw is valid until the next ask.
func (d *dialogue) ask(ctx context.Context, number int) (arch space.Arch, raw json.RawMessage, err error) {
	if err := d.Send("ask", askMessage{number}); err != nil {
		return nil, nil, err
	}
	for {
		m, err := d.Receive(ctx)
		if err != nil {
			return nil, nil, err
		}
		switch m.Name {
		case "architecture":
			if arch, err = d.p.Space.Parse(m.Body); err != nil {
				return nil, nil, outsideError(d.program.String(), number, err)
			}
			d.raw = append(d.raw[:0], m.Body...)
			return arch, d.raw, nil
		case "done":
			return nil, nil, nil
		case "heartbeat":
		case "log":
			if err := d.log(m); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", d.program, err)
			}
		case "sample", "neighbours", "mutate":
			archs, err := d.draw(m)
			if err != nil {
				return nil, nil, fmt.Errorf("%s asked for {%q: ...}: %w", d.program, m.Name, err)
			}
			if err := d.hand(archs); err != nil {
				return nil, nil, err
			}
		default:
			return nil, nil, d.odd(m, "an answer, {\"architecture\": ...} or {\"done\": {}},")
		}
	}
}

// maxLogs bounds what a program may put into the events.
const maxLogs = 100_000

func (d *dialogue) log(m child.Message) error {
	var l logMessage
	if err := m.Read(&l); err != nil {
		return err
	}
	if l.Event == "" || len(l.Event) > 100 || len(l.Values) > 100 {
		return fmt.Errorf("its message \"log\" has the event %.20q and %d values: an event has a name of at most 100 letters, and at most 100 values", l.Event, len(l.Values))
	}
	if d.logs++; d.logs > maxLogs {
		return fmt.Errorf("it has logged more than %d events", maxLogs)
	}
	if d.p.Log != nil {
		d.p.Log("policy "+l.Event, l.Values)
	}
	return nil
}

// draw does what costs nothing: it knows the space, and no value.
func (d *dialogue) draw(m child.Message) ([]space.Arch, error) {
	if m.Name == "sample" {
		s := sampleMessage{Count: 1}
		if err := m.Read(&s); err != nil {
			return nil, err
		}
		if s.Count < 1 || s.Count > maxDrawn {
			return nil, fmt.Errorf("count is %d: give 1 to %d", s.Count, maxDrawn)
		}
		archs := make([]space.Arch, s.Count)
		for i := range archs {
			archs[i] = d.p.Space.Sample(d.draws)
		}
		return archs, nil
	}
	var of ofMessage
	if err := m.Read(&of); err != nil {
		return nil, err
	}
	a, err := d.p.Space.Parse(of.Architecture)
	if err != nil {
		return nil, err
	}
	if m.Name == "mutate" {
		s, ok := d.p.Space.(space.Mutator)
		if !ok {
			return nil, fmt.Errorf("%s has no mutation", d.p.Space)
		}
		return []space.Arch{s.Mutate(a, d.draws)}, nil
	}
	s, ok := d.p.Space.(space.Neighbourhood)
	if !ok {
		return nil, fmt.Errorf("%s has no neighbours", d.p.Space)
	}
	return s.Neighbours(a), nil
}

func (d *dialogue) hand(archs []space.Arch) error {
	m := drawnMessage{Architectures: []json.RawMessage{}, Hashes: []string{}}
	for a := range slices.Values(archs) {
		raw, err := a.MarshalJSON()
		if err != nil {
			return err
		}
		m.Architectures, m.Hashes = append(m.Architectures, raw), append(m.Hashes, a.Hash())
	}
	return d.Send("architectures", m)
}
