package report

import (
	"fmt"
	"strings"

	"evalnas/nasapi"
	"evalnas/nasapi/objective"
)

// Item is an entry of the checklist of Lindauer and Hutter, Best Practices for Scientific
// Research on Neural Architecture Search (JMLR 21(243), 2020), in our words.
type Item struct {
	Part     string `json:"part"`
	Question string `json:"question"`
	Answer   Answer `json:"answer"`
	// Evidence says where the answer comes from, or what a person has to fill in.
	Evidence string `json:"evidence"`
}

// Answer is yes, no or unknown.
type Answer string

// Answers.
const (
	Yes      Answer = "yes"
	No       Answer = "no"
	NotKnown Answer = "unknown"
)

const byHand = "fill in by hand: "

func yesIf(condition bool) Answer {
	if condition {
		return Yes
	}
	return No
}

// checklist answers what the comparison and its jobs tell, and leaves the rest to the
// author.
func (m *maker) checklist() {
	add := func(part, question string, a Answer, evidence string) {
		m.report.Check = append(m.report.Check, Item{part, question, a, evidence})
	}
	m.checkCode(func(q string, a Answer, e string) { add("code", q, a, e) })
	m.checkComparison(func(q string, a Answer, e string) { add("comparison", q, a, e) })
	m.checkDetails(func(q string, a Answer, e string) { add("details", q, a, e) })
}

type adder func(question string, a Answer, evidence string)

func (m *maker) checkCode(add adder) {
	table := m.c.By.Kind == objective.Table
	if table {
		add("Is the code released that trains the final architectures?", Yes, "they are not trained but looked up; the table's authors released theirs")
	} else if m.c.By.Kind == objective.Trained || len(m.Trainings) > 0 {
		add("Is the code released that trains the final architectures?", Yes, fmt.Sprintf("train(...) of evalnas %s; .to_pytorch() writes the networks", m.report.Version))
	} else {
		add("Is the code released that trains the final architectures?", NotKnown, byHand+"nothing was trained here; name the code if you trained elsewhere")
	}
	add("Is the code of the search space released?", Yes, fmt.Sprintf("%s of evalnas %s", m.c.Space, m.report.Version))
	if table {
		add("Are the hyper-parameters and seeds of the final evaluation given?", Yes, m.c.Metric+", data "+short(m.c.By.Digest))
	} else if m.c.By.Kind == objective.Trained {
		add("Are the hyper-parameters and seeds of the final evaluation given?", Yes, m.c.By.Protocol)
	} else {
		add("Are the hyper-parameters and seeds of the final evaluation given?", NotKnown, byHand+"the final evaluation here is "+m.c.Metric)
	}
	foreign := m.names(func(g *nasapi.GroupRow) bool { return g.Kind == nasapi.Given && len(m.outcomes[g.Name]) == 0 })
	if foreign == "" {
		add("Is the code of the search method released?", Yes, fmt.Sprintf("policies of evalnas %s", m.report.Version))
		add("Are the method's hyper-parameters and seeds given?", Yes, "section Manifest; .config and .provenance of each search")
		return
	}
	add("Is the code of the search method released?", NotKnown, byHand+"made elsewhere, or by searches that were not given: "+foreign)
	add("Are the method's hyper-parameters and seeds given?", NotKnown, byHand+"for "+foreign)
}

func short(digest string) string { return digest[:min(16, len(digest))] }

// names are the groups of which something holds.
func (m *maker) names(holds func(*nasapi.GroupRow) bool) string {
	var out []string
	for i := range m.c.Rows {
		if g := &m.c.Rows[i]; holds(g) {
			out = append(out, g.Name)
		}
	}
	return strings.Join(out, ", ")
}

func (m *maker) checkComparison(add adder) {
	unequal := strings.Join(m.c.Inequalities(), " ")
	add("Do all methods share benchmark, data, space and training code?", Yes, "one space and one final evaluation for all groups, checked")
	if unequal == "" {
		add("Are confounding factors under control?", Yes, "one program, one numerics version, equal budgets, checked; hosts and devices in section Manifest")
	} else {
		add("Are confounding factors under control?", No, unequal)
	}
	add("Are there ablations?", NotKnown, byHand+"compare variants of the policy as groups of their own")
	add("Is the evaluation protocol the same for all methods?", Yes, m.c.Metric)
	anytime := m.section("anytime")
	add("Is performance shown over time?", yesIf(anytime != nil && len(anytime.Tables) > 0), "section As the search goes on")
	baseline, drawn := m.names(func(g *nasapi.GroupRow) bool { return g.Policy == "random" }), m.c.Drawn
	switch {
	case baseline != "":
		add("Is random search compared?", Yes, "random search at equal cost: "+baseline+"; and draws")
	case drawn != "":
		add("Is random search compared?", Yes, "draws: "+drawn+`; add search("random", ...) for equal cost`)
	default:
		add("Is random search compared?", Yes, "fresh draws under each group's own seeds")
	}
	least := -1
	for _, g := range m.c.Rows {
		if g.Kind != nasapi.Drawn && (least < 0 || g.States["done"] < least) {
			least = g.States["done"]
		}
	}
	add("Are there several runs, with their seeds?", yesIf(least > 1), fmt.Sprintf("at least %d runs done of each group; seeds in sections Every run and Manifest", max(least, 0)))
	add("Are tabular or surrogate benchmarks used for depth?", yesIf(m.c.By.Kind == objective.Table || len(m.Rankings) > 0), m.c.Metric)
}

func (m *maker) checkDetails(add adder) {
	add("Is it told how hyper-parameters were tuned, and at what cost?", NotKnown, byHand+"say how you chose the policies' parameters; evalnas keeps what ran, not what you tried before")
	cost := m.report.Outputs[9]
	if cost.State == Filled {
		add("Is the time of the whole method told, not of the search alone?", Yes, "section Cost: every job from submission to result; by a table the final evaluation takes none")
	} else {
		add("Is the time of the whole method told, not of the search alone?", NotKnown, byHand+"section Cost has a part: "+strings.Join(cost.Why, "; "))
	}
	add("Are all details of the experiment given?", Yes, "sections Conditions and Manifest; the notebook and its study folder hold every configuration")
}

func (m *maker) section(id string) *Section {
	for i := range m.report.Sections {
		if m.report.Sections[i].ID == id {
			return &m.report.Sections[i]
		}
	}
	return nil
}
