package slurm

import (
	"fmt"
	"strings"
)

// Array is tasks that are submitted together. Task i is told its number, from 0 on, by
// SLURM_ARRAY_TASK_ID.
type Array struct {
	Name   string   // by which it is found again
	Tasks  int      // how many
	Dir    string   // working folder, that the nodes must see
	Output string   // file of a task's output; %a stands for its number
	Lines  []string // of shell; the last one starts the work, by exec
}

// Script is the batch script of an array. The work must replace the shell, so that SLURM's
// signals reach it: USR1 shortly before the time limit, TERM when it is cancelled or preempted.
func Script(o Options, a Array) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	option := func(name, value string) {
		if value != "" {
			line("#SBATCH --%s=%s", name, value)
		}
	}
	line("#!/bin/bash")
	option("job-name", a.Name)
	cap := ""
	if o.Parallel > 0 {
		cap = fmt.Sprintf("%%%d", o.Parallel)
	}
	line("#SBATCH --array=0-%d%s", a.Tasks-1, cap)
	option("chdir", a.Dir)
	option("output", a.Output)
	line("#SBATCH --open-mode=append")
	line("#SBATCH --requeue")
	option("time", o.Time)
	// Partitions may have a limit of their own. SLURM may send the signal up to a minute early,
	// and a short limit has no room for two.
	warning := margin
	if o.Time != "" {
		warning = min(margin, max(10, o.Minutes()*60/3))
	}
	line("#SBATCH --signal=B:USR1@%d", warning)
	option("partition", o.Partition)
	option("account", o.Account)
	option("qos", o.QOS)
	option("mem", o.Memory)
	option("cpus-per-task", positive(o.CPUs))
	option("gpus-per-task", positive(o.GPUs))
	if o.GPUs > 0 {
		line("#SBATCH --ntasks=1")
	}
	option("gres", o.Gres)
	for _, extra := range o.Options {
		line("#SBATCH %s", extra)
	}
	line("")
	for _, setup := range o.Setup {
		line("%s", setup)
	}
	for _, work := range a.Lines {
		line("%s", work)
	}
	return b.String()
}

func positive(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// Quote makes one word of the shell of any text.
func Quote(text string) string {
	if wordForm.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
