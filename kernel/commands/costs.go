package commands

import (
	"fmt"
	"math"
	"time"

	lib "go.starlark.net/starlark"

	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
)

// freely is how many device-hours may be used here before they must be confirmed.
const freely = 24 * time.Hour

func confirmParam() starlark.Param {
	return starlark.Param{Name: "confirm", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "start even what takes more than 24 device-hours"}
}

// confirm refuses what takes this machine long, unless confirm= says that it may.
func confirm(c *starlark.Call, on jobs.Place, all time.Duration, less string) error {
	confirmed, err := c.Bool("confirm")
	if err != nil || confirmed || on.Slurm != nil || all <= freely {
		return err
	}
	return c.Errorf("this takes about %s of this machine: give confirm=True to start it, or %s", coreText(all), less)
}

func say(c *starlark.Call, format string, args ...any) {
	c.Cell.Out.Stream("stdout", fmt.Sprintf(format, args...)+"\n")
}

// announceTraining says how long a training will take, unless it is done, and refuses
// one that takes long and was not confirmed.
func announceTraining(c *starlark.Call, st *jobs.Study, req nasapi.TrainingRequest, entry data.Entry) error {
	left, err := req.Unfinished(st)
	if err != nil {
		return c.Errorf("%w", err)
	}
	all := len(req.Archs) * len(req.Seeds)
	if len(left) == 0 {
		say(c, "%d networks, all trained before", all)
		return nil
	}
	cost, err := nasapi.EstimateTraining(req, entry.Shape, left)
	if err != nil {
		return c.Errorf("%w", err)
	}
	text := costOfTraining(cost)
	if len(left) < all {
		text += fmt.Sprintf("; %d are trained already", all-len(left))
	}
	say(c, "%s", text)
	return confirm(c, req.On, cost.All, "fewer epochs, channels, cells or architectures")
}

// costOfTraining is "2 networks, the first about 9 days on 1 thread (...); 430 device-hours
// in all, 9 days on 2 slots".
func costOfTraining(c nasapi.TrainingCost) string {
	threads := "1 thread"
	if c.Threads != 1 {
		threads = fmt.Sprintf("%d threads", c.Threads)
	}
	text := fmt.Sprintf("%s on %s (%.0f images a second measured; %s parameters, %s multiply-adds)",
		aboutText(c.Each), threads, c.PerSecond, count(c.Params), count(c.MultAdds))
	if c.Jobs == 1 {
		return text
	}
	inAll := coreText(c.All)
	if c.Threads > 1 && c.All < time.Hour {
		inAll = durationText(c.All) + " of one device"
	}
	text = fmt.Sprintf("%d networks, the first %s; %s in all", c.Jobs, text, inAll)
	if c.Slots > 1 {
		text += fmt.Sprintf(", %s on %d slots", underText(c.Wall), min(c.Slots, c.Jobs))
	}
	return text
}

// underText is a duration after a comma.
func underText(d time.Duration) string {
	if d < time.Second {
		return "under 1 s"
	}
	return durationText(d)
}

// announceSearch is announceTraining for a search. What was found before costs nothing.
func announceSearch(c *starlark.Call, st *jobs.Study, req nasapi.SearchRequest) error {
	all := len(req.Seeds)
	left, err := req.Unfinished(st)
	if err != nil {
		return c.Errorf("%w", err)
	}
	if len(left) == 0 {
		say(c, "%s: %s done before", req.Policy, seedCount(all))
		return nil
	}
	req.Seeds = left
	if req.Trained != nil {
		return announceTrained(c, st, req, all-len(left))
	}
	cost, err := nasapi.EstimateSearch(c.Ctx, req)
	if err != nil {
		return c.Errorf("%w", err)
	}
	text := costOfSearch(cost)
	if cost.Unknown {
		text = seedCount(cost.Jobs) + "; how long they take is not known, a policy of one's own runs in its jobs only"
	}
	if len(left) < all {
		text += fmt.Sprintf("; %d done already", all-len(left))
	}
	say(c, "%s: %s", req.Policy, text)
	less := "a smaller budget or fewer seeds"
	if req.Shared != nil {
		less = `fewer epochs, channels or seeds, or a preset such as preset="minutes"`
	}
	return confirm(c, req.On, cost.All, less)
}

// costOfSearch is "10 seeds, about 3 s each, 30 s of one core in all, 15 s on 2 slots
// (...)". Of what is over at once no more is worth a line, and no number that differs
// every time.
func costOfSearch(c nasapi.SearchCost) string {
	where := ""
	if c.Slots == 0 { // a node of the cluster may be another kind of machine
		where = " on this machine"
	}
	measured := fmt.Sprintf("(%s evaluations a second measured%s)", roughly(c.PerSecond), where)
	if c.Params > 0 {
		measured = fmt.Sprintf("(%s training images a second measured%s; %s parameters in the supernet; what the policy itself validates comes on top)", roughly(c.PerSecond), where, count(c.Params))
	}
	switch {
	case c.Slots > 0 && c.Wall < time.Second:
		return seedCount(c.Jobs) + ", under 1 s in all"
	case c.All < time.Second:
		return seedCount(c.Jobs) + ", under 1 s of one core in all"
	case c.Jobs == 1:
		return fmt.Sprintf("1 seed, %s %s", eachText(c), measured)
	}
	text := fmt.Sprintf("%s, %s each, %s in all", seedCount(c.Jobs), eachText(c), coreText(c.All))
	if c.Slots > 1 {
		text += fmt.Sprintf(", %s on %d slots", durationText(c.Wall), min(c.Slots, c.Jobs))
	}
	return text + " " + measured
}

// eachText is how long a seed takes, or how long at least.
func eachText(c nasapi.SearchCost) string {
	if c.AtLeast {
		return "more than " + underText(c.Each)
	}
	return aboutText(c.Each)
}

func seedCount(n int) string {
	if n == 1 {
		return "1 seed"
	}
	return count(n) + " seeds"
}

func aboutText(d time.Duration) string {
	if d < time.Second {
		return "under 1 s"
	}
	return "about " + durationText(d.Round(time.Second))
}

// coreText is in device-hours, in which clusters account, where it is at least one.
func coreText(d time.Duration) string {
	if d < time.Hour {
		return durationText(d) + " of one core"
	}
	return roughly(d.Hours()) + " device-hours"
}

// roughly keeps the two digits that a measured number is good for.
func roughly(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2g", v)
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return count(int64(math.Round(v/unit) * unit))
}
