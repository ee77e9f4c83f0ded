package report

import (
	"fmt"
	"slices"
	"strings"

	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
)

// spending is what jobs took.
type spending struct {
	jobs             int
	seconds, devices float64 // of the last attempts, and of all times their devices
	waited           float64
	on               []string // devices
}

func spent(all []jobs.Outcome) spending {
	var s spending
	for _, o := range all {
		s.jobs++
		s.seconds += o.Seconds
		s.devices += o.Spent
		s.waited += o.Waited
		s.on = appendNew(s.on, deviceText(o))
	}
	return s
}

func deviceText(o jobs.Outcome) string {
	text := o.Device
	if text == "" {
		text = "one core"
	}
	if o.CPU != "" && !strings.Contains(text, o.CPU) {
		text += " (" + o.CPU + ")"
	}
	for _, gpu := range o.GPUs {
		text += ", " + gpu
	}
	return text
}

// appendNew keeps each word once, in the order of appearance.
func appendNew(to []string, s string) []string {
	if s == "" || slices.Contains(to, s) {
		return to
	}
	return append(to, s)
}

func (s spending) cells() []Cell {
	return []Cell{count(s.jobs), numbers(Seconds, s.seconds), numbers(Hours, s.devices/3600), numbers(Seconds, s.waited), text(strings.Join(s.on, "; "))}
}

func (m *maker) cost() (Section, error) {
	s := Section{ID: "cost", Title: "Cost"}
	t := Table{ID: "cost", Columns: columns(left("group"), right("jobs done", "seconds", "device-hours", "seconds waited"), prose("device"), right("parameters: median (range)", "multiply-adds: median (range)"))}
	for i := range m.c.Rows {
		g := &m.c.Rows[i]
		row := []Cell{label(g)}
		switch outcomes := m.outcomes[g.Name]; {
		case len(outcomes) > 0:
			m.some(10)
			row = append(row, spent(outcomes).cells()...)
			if g.Kind == nasapi.Given {
				m.lacks(10, fmt.Sprintf("unknown: what finding the architectures of %s took, for only their trainings are given; .provenance of the search has it", g.Name))
			}
		case g.Kind == nasapi.Drawn:
			row = append(row, text("no job: drawn at once"), Cell{}, Cell{}, Cell{}, Cell{})
		default:
			row = append(row, text("unknown: its jobs are not known here"), Cell{}, Cell{}, Cell{}, Cell{})
			m.lacks(10, fmt.Sprintf("unknown: what %s took, for it is given as architectures or results; give the search(...) itself", g.Name))
		}
		var params, flops []float64
		for _, seed := range g.Seeds {
			if seed.Params > 0 {
				params, flops = append(params, float64(seed.Params)), append(flops, float64(seed.FLOPs))
			}
		}
		t.Rows = append(t.Rows, append(row, between(params), between(flops)))
	}
	for i, tr := range m.Trainings {
		var all []jobs.Outcome
		for _, j := range tr.Jobs() {
			if o, err := j.Outcome(); err == nil {
				all = append(all, o)
			}
		}
		t.Rows = append(t.Rows, append(append([]Cell{text(fmt.Sprintf("training %d", i+1))}, spent(all).cells()...), Cell{}, Cell{}))
	}
	if len(m.Trainings) > 0 {
		t.Notes = append(t.Notes, "The jobs of a training are also those of the groups that are compared by it.")
	}
	t.Notes = append(t.Notes, "Seconds are those of each job's last attempt, device-hours of all attempts times their devices, and waiting is from submission to the end while no attempt ran; all summed over jobs. Final evaluation by a table costs nothing. Estimates were printed when each search and training was started.")
	s.Tables = []Table{t}
	return s, nil
}

// between is the least, median and greatest of counts.
func between(values []float64) Cell {
	if len(values) == 0 {
		return text("unknown")
	}
	slices.Sort(values)
	n := len(values)
	return numbers(Counts, values[0], (values[(n-1)/2]+values[n/2])/2, values[n-1])
}

// conditions is output 11.
func (m *maker) conditions() (Section, error) {
	s := Section{ID: "conditions", Title: "Conditions"}
	m.some(11)
	general := Table{ID: "conditions", Columns: columns(left("condition"), wide("here"))}
	add := func(what, is string) { general.Rows = append(general.Rows, []Cell{text(what), text(is)}) }
	add("final evaluation", "the same for every group, checked: "+m.c.Metric)
	add("space", fmt.Sprintf("%s, %s architectures, the same for every search, checked", m.c.Space, m.size()))
	budgets := "shared by all searches, checked"
	if unequal := m.c.Inequalities(); len(unequal) > 0 {
		budgets = strings.Join(unequal, " ")
	}
	add("equality of budgets, training and numerics", budgets)
	s.Tables = append(s.Tables, general)
	reach := Table{ID: "reach", Columns: columns(left("group"), right("reachable architectures", "share of the space, %"), left("baseline draws"))}
	for i := range m.c.Rows {
		g := &m.c.Rows[i]
		row := []Cell{label(g)}
		size, _ := m.c.Size().Float64()
		switch n := m.c.Reachable(g.Name); {
		case n != nil:
			v, _ := n.Float64()
			row = append(row, numbers(Count, v), numbers(Percentile, 100*v/size), text("unique, and in its encoding"))
		case g.Kind == nasapi.Given && g.Policy == "":
			row = append(row, text("unknown: the policy is not known here"), Cell{}, text("unique"))
		case g.Kind == nasapi.Drawn && g.Measure != nasapi.MeasureUnique:
			row = append(row, text("those of its measure"), Cell{}, text(g.Measure))
		default:
			row = append(row, numbers(Count, size), numbers(Percentile, 100), text("unique"))
		}
		reach.Rows = append(reach.Rows, row)
	}
	reach.Notes = append(reach.Notes, `Measure: "unique" is uniform over the distinct architectures; others are uniform over each decision of an encoding.`)
	s.Tables = append(s.Tables, reach)
	return s, nil
}

func (m *maker) size() string {
	if m.c.N > 0 {
		return grouped(m.c.N)
	}
	return m.c.Size().String()
}

// status is outputs 13 and 14.
func (m *maker) status() (Section, error) {
	s := Section{ID: "status", Title: "Every run", Long: true}
	m.some(13, 14)
	s.Text = append(s.Text, "result.seeds.save(...) writes these as CSV, JSON lines, Markdown and LaTeX, result.save(...) the figures as SVG and PNG.")
	states := Table{ID: "states", Columns: columns(left("group"), right("runs"))}
	var present []string
	for _, st := range jobs.States() {
		for i := range m.c.Rows {
			if m.c.Rows[i].States[string(st)] > 0 {
				present = appendNew(present, string(st))
			}
		}
	}
	states.Columns = append(states.Columns, right(present...)...)
	t := Table{ID: "seeds", Columns: columns(left("group"), right("seed"), left("state"), right("value", "rank", "tied", "percentile", "parameters", "multiply-adds"), left("architecture"))}
	for i := range m.c.Rows {
		g := &m.c.Rows[i]
		row := []Cell{label(g), count(g.Runs)}
		for _, st := range present {
			row = append(row, count(g.States[st]))
		}
		states.Rows = append(states.Rows, row)
		for _, seed := range g.Seeds {
			t.Rows = append(t.Rows, seedCells(g, seed))
			if seed.Error != "" {
				lines := strings.Split(strings.TrimSpace(seed.Error), "\n")
				t.Notes = append(t.Notes, fmt.Sprintf("%s, seed %s: %s", g.Name, seedText(seed), lines[len(lines)-1]))
			}
		}
	}
	s.Tables = []Table{states, t}
	return s, nil
}

func seedText(s nasapi.SeedRow) string {
	if s.Seed == nil {
		return "unknown"
	}
	return fmt.Sprint(*s.Seed)
}

func seedCells(g *nasapi.GroupRow, s nasapi.SeedRow) []Cell {
	row := []Cell{label(g), text("unknown"), text(string(s.State)), {}, {}, {}, {}, {}, {}, text(s.Hash[:min(8, len(s.Hash))])}
	if s.Seed != nil {
		row[1] = seedCell(*s.Seed)
	}
	if s.Value != nil {
		row[3] = numbers(Value, *s.Value)
	}
	if s.Percentile != nil {
		row[4], row[5], row[6] = count(s.Rank), count(s.Ties), numbers(Percentile, *s.Percentile)
	}
	if s.Params > 0 {
		row[7], row[8] = numbers(Count, float64(s.Params)), numbers(Count, float64(s.FLOPs))
	}
	return row
}
