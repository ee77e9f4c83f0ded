package report

// Output is one of the fifteen things that a rigorous evaluation of a search phase reports.
type Output struct {
	Number int    `json:"number"`
	What   string `json:"what"`
	State  State  `json:"state"`
	// Section is the ID of the one that has it.
	Section string `json:"section,omitempty"`
	// Why says what is missing, and what would give it.
	Why []string `json:"why,omitempty"`
}

// State tells how much of an output is there.
type State string

// States of an output.
const (
	Filled  State = "filled"
	Partly  State = "in part"
	Unknown State = "unknown"
)

// theOutputs are what there is to report, with the section of each.
var theOutputs = []Output{
	{What: "percentiles against the exact null; median, best, worst, mean and deviation; intervals; smallest detectable lead", Section: "percentiles"},
	{What: "three baselines under the same final evaluation, with intervals", Section: "baselines"},
	{What: "relative improvement over random", Section: "baselines"},
	{What: "p(> random) with its null band; rank test, Welch's t, Cliff's delta, adjusted by Holm; effect size first", Section: "tests"},
	{What: "best rank and percentile in the space, ties, the metric named", Section: "ranks"},
	{What: "rankings by shared weights beside trivial baselines; noise ceiling", Section: "rankings"},
	{What: "regret as the search goes on, against queries and against simulated seconds", Section: "anytime"},
	{What: "test accuracy of what validation selects, beside an oracle's", Section: "selection"},
	{What: "variance over searches and over trainings, apart", Section: "variance"},
	{What: "cost: seconds, devices, parameters, multiply-adds; the estimate before", Section: "cost"},
	{What: "equal final evaluation, reachable share, sampling measure", Section: "conditions"},
	{What: "manifest and citation", Section: "manifest"},
	{What: "every run in machine-readable form; tables and figures to save", Section: "status"},
	{What: "status by policy and seed; failures counted", Section: "status"},
	{What: "figures of ranks and of the space", Section: "percentiles"},
}

func (m *maker) outputs() {
	m.report.Outputs = make([]Output, len(theOutputs))
	for i, o := range theOutputs {
		o.Number = i + 1
		m.report.Outputs[i] = o
	}
}

// some says that numbers of an output are there.
func (m *maker) some(outputs ...int) {
	for _, n := range outputs {
		if o := &m.report.Outputs[n-1]; o.State == "" {
			o.State = Filled
		}
	}
}

// lacks says what is missing of an output, and what would give it.
func (m *maker) lacks(output int, why string) {
	o := &m.report.Outputs[output-1]
	for _, w := range o.Why {
		if w == why {
			return
		}
	}
	o.Why = append(o.Why, why)
}

func (m *maker) finishOutputs() {
	for i := range m.report.Outputs {
		switch o := &m.report.Outputs[i]; {
		case o.State == "":
			o.State = Unknown
		case len(o.Why) > 0:
			o.State = Partly
		}
	}
}
