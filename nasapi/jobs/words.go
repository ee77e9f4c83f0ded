package jobs

import (
	"fmt"
	"strings"
	"time"
)

// CostText is the time of devices for people: "1.4 device-hours", and smaller units for
// little of it. A device is one slot of this machine, or what SLURM gives a task.
func CostText(d time.Duration) string {
	switch hours := d.Hours(); {
	case hours >= 10:
		return fmt.Sprintf("%.0f device-hours", hours)
	case hours >= 1:
		return fmt.Sprintf("%.1f device-hours", hours)
	case hours >= 0.1:
		return fmt.Sprintf("%.2f device-hours", hours)
	case d >= time.Minute:
		return fmt.Sprintf("%.1f device-minutes", d.Minutes())
	case d >= 100*time.Millisecond:
		return fmt.Sprintf("%.1f device-seconds", d.Seconds())
	}
	return "under 0.1 device-seconds"
}

// StatesText counts states: "3 done, 2 pending (1 held)".
func StatesText(statuses []Status) string {
	n, held := map[State]int{}, map[State]int{}
	for _, st := range statuses {
		n[st.State]++
		if st.Held {
			held[st.State]++
		}
	}
	var parts []string
	for _, state := range States() {
		if n[state] == 0 {
			continue
		}
		part := fmt.Sprintf("%d %s", n[state], state)
		switch {
		case held[state] == n[state]:
			part += " (held)"
		case held[state] > 0:
			part += fmt.Sprintf(" (%d held)", held[state])
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// SizeText is a number of bytes for people: "23.5 GiB".
func SizeText(bytes int64) string {
	switch {
	case bytes < 1<<10:
		return fmt.Sprintf("%d B", bytes)
	case bytes < 1<<20:
		return fmt.Sprintf("%d KiB", bytes>>10)
	case bytes < 1<<30:
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%.3g GiB", float64(bytes)/(1<<30))
}
