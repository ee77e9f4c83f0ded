package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
)

// manifest is output 12: what it takes to make the results again.
func (m *maker) manifest() (Section, error) {
	s := Section{ID: "manifest", Title: "Manifest", Long: true}
	m.some(12)
	t := Table{ID: "manifest", Columns: columns(left("what"), wide("is"))}
	add := func(what, is string) {
		if is == "" {
			is = "unknown"
		}
		t.Rows = append(t.Rows, []Cell{text(what), text(is)})
	}
	add("program", "evalnas "+m.report.Version)
	add("numerics of this program", fmt.Sprintf("%d, engine %d", nasapi.Numerics, nasapi.EngineNumerics))
	add("report made", m.report.Made.Format(time.RFC3339))
	add("final evaluation", m.c.By.String())
	if m.c.By.Digest != "" {
		add("its data, SHA-256", m.c.By.Digest)
	}
	for _, path := range slices.Sorted(maps.Keys(m.Loaded)) {
		add("loaded file "+path+", SHA-256", m.Loaded[path])
	}
	for i := range m.c.Rows {
		g := &m.c.Rows[i]
		add(g.Name+": seeds", seedList(g))
		if g.Numerics != nil {
			add(g.Name+": numerics", g.Numerics.String())
		}
		all := m.outcomes[g.Name]
		if len(all) == 0 {
			if g.Kind != nasapi.Drawn {
				add(g.Name+": jobs", "unknown: it is given as architectures or results; give the search(...) itself")
				m.lacks(12, fmt.Sprintf("unknown: the jobs of %s", g.Name))
			}
			continue
		}
		m.provenance(add, g.Name, all)
	}
	for i, tr := range m.Trainings {
		var all []jobs.Outcome
		for _, j := range tr.Jobs() {
			if o, err := j.Outcome(); err == nil {
				all = append(all, o)
			}
		}
		if len(all) > 0 {
			m.provenance(add, fmt.Sprintf("training %d", i+1), all)
		}
	}
	s.Tables = []Table{t}
	return s, nil
}

// provenance is what jobs say of where their results came from.
func (m *maker) provenance(add func(what, is string), name string, all []jobs.Outcome) {
	var configs, data, files, versions, hosts, devices []string
	began, ended := all[0].Started, all[0].Ended
	for _, o := range all {
		sum := sha256.Sum256(o.Config)
		configs = appendNew(configs, hex.EncodeToString(sum[:])[:16])
		var names []string
		for n := range o.Data {
			names = append(names, n)
		}
		slices.Sort(names)
		for _, n := range names {
			data = appendNew(data, n+" "+o.Data[n])
		}
		for _, f := range policyFiles(o.Config) {
			files = appendNew(files, f.Name+" "+f.SHA256)
		}
		versions = appendNew(versions, fmt.Sprintf("%s, %s", o.Version, o.Go))
		hosts = appendNew(hosts, fmt.Sprintf("%s (%s, %s)", o.Host, o.OS, o.CPU))
		devices = appendNew(devices, fmt.Sprintf("%s, threads: %d", deviceText(o), o.Threads))
		if o.Started.Before(began) {
			began = o.Started
		}
		if o.Ended.After(ended) {
			ended = o.Ended
		}
	}
	add(name+": configuration (first 16 digits of its SHA-256)", listed(configs))
	if len(data) > 0 {
		add(name+": data read", listed(data))
	}
	if len(files) > 0 {
		add(name+": policy from files, SHA-256", listed(files))
	}
	add(name+": program", listed(versions))
	add(name+": host", listed(hosts))
	add(name+": device", listed(devices))
	add(name+": from, to", began.UTC().Format(time.RFC3339)+", "+ended.UTC().Format(time.RFC3339))
}

// policyFiles are those from which the policy of a search has its functions.
func policyFiles(config json.RawMessage) []nasapi.CellFile {
	var c struct {
		Own *nasapi.OwnPolicy `json:"own"`
	}
	if json.Unmarshal(config, &c) != nil || c.Own == nil || c.Own.Cell == nil {
		return nil // of another kind of job, or of no such policy
	}
	return c.Own.Cell.Files
}

// listed shows a few and counts the rest.
func listed(all []string) string {
	const most = 4
	if len(all) <= most {
		return strings.Join(all, "; ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], "; "), len(all)-most)
}

// seedList writes seeds that follow one another as a range.
func seedList(g *nasapi.GroupRow) string {
	var seeds []int64
	for _, s := range g.Seeds {
		if s.Seed == nil {
			return "unknown"
		}
		seeds = append(seeds, *s.Seed)
	}
	slices.Sort(seeds)
	var parts []string
	for i := 0; i < len(seeds); {
		j := i
		for j+1 < len(seeds) && seeds[j+1] == seeds[j]+1 {
			j++
		}
		part := fmt.Sprint(seeds[i])
		if j > i {
			part = fmt.Sprintf("%d to %d", seeds[i], seeds[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return listed(parts)
}
