package jobs

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

func TestWhere(t *testing.T) {
	st := mustOpen(t, t.TempDir())
	here := hostname()
	var all []*Job
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		all = append(all, &Job{ID: id})
	}
	said, err := json.Marshal(queueStates{Jobs: map[string]Queued{
		"a": {Task: "12_0", State: "PENDING", Reason: "Priority"},
		"b": {Task: "12_1", State: "REQUEUED", Reason: "None"},
	}, Error: "no answer"})
	if err != nil {
		t.Fatal(err)
	}
	write(t, st.Paths.QueueStates(), string(said))
	t.Setenv("EVALNAS_SLOTS", "1")
	texts, trouble := st.Where(all, []Status{
		{State: Pending}, {State: Checkpointed}, {State: Pending},
		{State: Running, Host: "node07.cluster.example", Task: "12_3"}, {State: Running, Host: "10.0.0.7", Slots: []int{1}},
		{State: Running, Host: here, Slots: []int{7}}, {State: Done, Host: here, Slots: []int{0}}, {State: Failed, Host: "node08"},
	})
	want := []string{"SLURM 12_0: Priority", "SLURM 12_1 requeued", "", "node07, SLURM 12_3", "10.0.0.7", "slot 7", "", "node08"}
	if !slices.Equal(texts, want) || trouble != "no answer" {
		t.Errorf("%q, %q; want %q", texts, trouble, want)
	}
}

func TestCoresOfSlots(t *testing.T) {
	s := Slots{N: 4, cores: []int{0, 1, 2, 3, 8, 9, 10, 11}}
	for _, c := range []struct {
		of    Slots
		slots []int
		want  string
	}{
		{s, nil, ""}, {s, []int{0}, "cores 0-1"}, {s, []int{3, 0, 1}, "cores 0-3,10-11"}, {s, []int{4}, "slot 4"},
		{Slots{N: 2, cores: []int{4, 6}}, []int{1}, "core 6"}, {Slots{N: 4, cores: []int{4, 6}}, []int{1, 3}, "core 6"}, {Slots{N: 2}, []int{0, 1}, "slots 0-1"},
	} {
		if got := c.of.text(c.slots); got != c.want {
			t.Errorf("slots %v of %+v are %q, want %q", c.slots, c.of, got, c.want)
		}
	}
}

func TestCosts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "under 0.1 device-seconds", 12300 * time.Millisecond: "12.3 device-seconds", 90 * time.Second: "1.5 device-minutes",
		432 * time.Second: "0.12 device-hours", 90 * time.Minute: "1.5 device-hours", 1234 * time.Hour: "1234 device-hours",
	} {
		if got := CostText(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
