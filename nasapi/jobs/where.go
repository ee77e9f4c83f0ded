package jobs

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// Where says of each job in few words where it runs or ran, or what it waits for in SLURM:
// "cores 0-1" of this machine, "node07" for another host, "node07, SLURM 12_3",
// "SLURM 12_3: Priority". It says nothing of what waits for this machine or ended on it.
// trouble is why SLURM cannot be asked, "" if nothing is wrong.
func (st *Study) Where(all []*Job, statuses []Status) (texts []string, trouble string) {
	queue, trouble := st.Queue()
	slots, err := HostSlots()
	if err != nil {
		slots = Slots{} // their numbers are known all the same
	}
	here := hostname()
	texts = make([]string, len(all))
	for i, j := range all {
		q, queued := queue[j.ID]
		switch s := statuses[i]; {
		case s.State.Waiting() && queued:
			texts[i] = q.text()
		case s.State.Waiting():
		case s.State == Running && s.Task != "":
			texts[i] = shortHost(s.Host) + ", SLURM " + s.Task
		case s.Host != here:
			texts[i] = shortHost(s.Host)
		case s.State == Running:
			texts[i] = slots.text(s.Slots)
		}
	}
	return texts, trouble
}

// text is why the task waits. That it does the job's state says.
func (q Queued) text() string {
	text := "SLURM " + q.Task
	if q.State != "PENDING" && q.State != "" {
		text += " " + strings.ToLower(q.State)
	}
	if q.Reason != "" && q.Reason != "None" {
		text += ": " + q.Reason
	}
	return text
}

// shortHost leaves out the domain, which the hosts of a cluster share.
func shortHost(name string) string {
	if net.ParseIP(name) != nil {
		return name
	}
	short, _, _ := strings.Cut(name, ".")
	return short
}

// text names the cores of slots, or the slots themselves where this host's are not those
// that the worker had.
func (s Slots) text(slots []int) string {
	if len(slots) == 0 {
		return ""
	}
	what, numbers := "slot", slots
	if !slices.ContainsFunc(slots, func(n int) bool { return n >= s.N }) {
		if cores := (&Share{Slots: slots, of: s}).Cores(); len(cores) > 0 {
			what, numbers = "core", cores
		}
	}
	if len(numbers) > 1 {
		what += "s"
	}
	return what + " " + rangesText(numbers)
}

// rangesText writes numbers as SLURM and taskset do: "0-3,7".
func rangesText(numbers []int) string {
	sorted := slices.Sorted(slices.Values(numbers))
	var parts []string
	for i := 0; i < len(sorted); {
		first := i
		for i++; i < len(sorted) && sorted[i] == sorted[i-1]+1; i++ {
		}
		if part := fmt.Sprint(sorted[first]); i == first+1 {
			parts = append(parts, part)
		} else {
			parts = append(parts, fmt.Sprintf("%s-%d", part, sorted[i-1]))
		}
	}
	return strings.Join(parts, ",")
}
