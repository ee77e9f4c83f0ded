package report

import (
	"fmt"
	"strings"

	"evalnas/nasapi/objective"
)

// Entry is something to cite.
type Entry struct {
	Why    string `json:"why"`
	BibTeX string `json:"bibtex"`
}

const yuBibTeX = `@inproceedings{yu2020evaluating,
  title     = {Evaluating the Search Phase of Neural Architecture Search},
  author    = {Yu, Kaicheng and Sciuto, Christian and Jaggi, Martin and Musat, Claudiu and Salzmann, Mathieu},
  booktitle = {International Conference on Learning Representations},
  year      = {2020}
}`

const yingBibTeX = `@inproceedings{ying2019nasbench101,
  title     = {{NAS-Bench-101}: Towards Reproducible Neural Architecture Search},
  author    = {Ying, Chris and Klein, Aaron and Christiansen, Eric and Real, Esteban and Murphy, Kevin and Hutter, Frank},
  booktitle = {International Conference on Machine Learning},
  year      = {2019}
}`

const lindauerBibTeX = `@article{lindauer2020best,
  title   = {Best Practices for Scientific Research on Neural Architecture Search},
  author  = {Lindauer, Marius and Hutter, Frank},
  journal = {Journal of Machine Learning Research},
  volume  = {21},
  number  = {243},
  pages   = {1--18},
  year    = {2020}
}`

// cite lists what a paper with this report in it should name.
func (m *maker) cite() {
	m.report.Cite = append(m.report.Cite, Entry{"the method: search against random sampling under one evaluation", yuBibTeX})
	if m.usesNASBench101() {
		m.report.Cite = append(m.report.Cite, Entry{"the table and its space", yingBibTeX})
	}
	m.report.Cite = append(m.report.Cite,
		Entry{"the checklist", lindauerBibTeX},
		Entry{"the program", fmt.Sprintf(`@misc{evalnas,
  title = {evalnas: evaluating the search phase of neural architecture search},
  note  = {Version %s, numerics %d},
  year  = {%d}
}`, escapeTeX(m.report.Version), m.report.Numerics, m.report.Made.Year())})
}

func (m *maker) usesNASBench101() bool {
	if m.c.By.Kind == objective.Table || len(m.Rankings) > 0 || strings.HasPrefix(m.c.Space, "nasbench101") {
		return true
	}
	for _, g := range m.c.Rows {
		if strings.Contains(g.Objective, "nasbench101_table") {
			return true
		}
	}
	return false
}

func escapeTeX(s string) string {
	return strings.NewReplacer("_", `\_`, "%", `\%`, "&", `\&`, "#", `\#`).Replace(s)
}
