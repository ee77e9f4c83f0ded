package nasapi

import (
	"fmt"
	"strconv"

	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/table"
)

// checkBudget says what is wrong with what bounds a search that shares no weights, or with
// the objective for it.
func (c SearchConfig) checkBudget(info *policy.Info) error {
	switch {
	case c.Budget < 0 || c.Budget > MaxBudget || c.Budget == 0 && c.Seconds == 0:
		return fmt.Errorf("budget is %d: it is the number of evaluations for each seed, 1 to %d (or give seconds=, on a table that has training times)", c.Budget, MaxBudget)
	case !(c.Seconds >= 0 && c.Seconds <= MaxSeconds):
		return fmt.Errorf("seconds is %v: it is the time on the virtual clock for each seed, above 0 to %v", c.Seconds, float64(MaxSeconds))
	case c.Seconds == 0 && !info.Fidelities:
		return nil
	}
	if c.Trained != nil {
		return fmt.Errorf("%s compares architectures after few epochs of training and trains the best for longer, which only tables know: %s has one number of epochs", info.Name, c.Objective)
	}
	o, err := openObjective(c.Objective)
	switch {
	case err != nil:
		return err
	case c.Seconds > 0 && !o.Timed():
		return fmt.Errorf("seconds=%s: %s has no training times to move a virtual clock: give budget=, a number of look-ups, or the metric of a table that has times, as the files of NASBench-101 have", SecondsText(c.Seconds), o)
	case info.Fidelities && o.Fidelities() == nil:
		return fmt.Errorf("%s compares architectures after few epochs of training and trains the best for longer: %s is known after one number of epochs only; the full file of NASBench-101 has 4, 12, 36 and 108", info.Name, o)
	}
	return nil
}

// openObjective finds what a configuration names; tests put tables of their own in.
var openObjective = objective.New

// SecondsText writes a number of seconds as a cell would, in full.
func SecondsText(s float64) string { return strconv.FormatFloat(s, 'f', -1, 64) }

// clock is the virtual clock of a search: it goes by the training that each evaluation
// stands for.
type clock struct {
	limit   float64 // 0 for none
	seconds float64 // that have passed
	over    bool    // a training would have ended after the limit
	beyond  float64 // how long that one takes
}

// move lets a training pass, or says that it would not have ended in time. Then the search
// is over, as it is for one who waits for a training when the time is up.
func (c *clock) move(cost table.Cost) bool {
	if c.limit > 0 && c.seconds+cost.Seconds > c.limit {
		c.over, c.beyond = true, cost.Seconds
		return false
	}
	c.seconds += cost.Seconds
	return true
}
