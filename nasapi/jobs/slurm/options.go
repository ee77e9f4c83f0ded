// Package slurm talks to SLURM through its commands: it writes the script of an array of
// tasks, submits it with sbatch, and reads what squeue, sacct and scontrol say of it. It knows
// nothing of jobs or studies.
package slurm

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Options are what a person asks SLURM for. The zero value asks for nothing: SLURM's own
// defaults hold, one core for each task. The names of a settings file are those of the JSON.
type Options struct {
	Partition string   `json:"partition,omitempty" toml:"partition"`
	Account   string   `json:"account,omitempty" toml:"account"`
	QOS       string   `json:"qos,omitempty" toml:"qos"`
	Time      string   `json:"time,omitempty" toml:"time"`         // limit of a task, in SLURM's words: "30", "12:00:00", "1-00"
	Memory    string   `json:"mem,omitempty" toml:"mem"`           // of a task: "8G"
	CPUs      int      `json:"cpus,omitempty" toml:"cpus"`         // cores of a task; 0: one
	GPUs      int      `json:"gpus,omitempty" toml:"gpus"`         // of a task
	Gres      string   `json:"gres,omitempty" toml:"gres"`         // other resources: "gpu:a100:1"
	Parallel  int      `json:"parallel,omitempty" toml:"parallel"` // tasks at a time; 0: as many as SLURM lets run
	Setup     []string `json:"setup,omitempty" toml:"setup"`       // lines of shell before the work: "module load cuda"
	Options   []string `json:"options,omitempty" toml:"options"`   // of sbatch: "--exclude=node07"
}

// margin is how long before its time limit a task is told to save its state, in seconds.
const margin = 120

var (
	timeForm   = regexp.MustCompile(`^(\d+|\d+:\d+|\d+:\d+:\d+|\d+-\d+|\d+-\d+:\d+|\d+-\d+:\d+:\d+)$`)
	memoryForm = regexp.MustCompile(`^\d+[KMGT]?B?$`)
	wordForm   = regexp.MustCompile(`^[\w.,:=@%+/-]+$`)
)

// ours are options of sbatch that the script needs for itself.
var ours = []string{"--array", "-a", "--job-name", "-J", "--output", "-o", "--error", "-e", "--requeue", "--no-requeue", "--signal", "--open-mode", "--chdir", "-D", "--wrap", "--parsable", "--export"}

// Check says what is wrong with the options, before SLURM is asked.
func (o Options) Check() error {
	for _, word := range []struct{ name, value string }{
		{"partition", o.Partition}, {"account", o.Account}, {"qos", o.QOS}, {"gres", o.Gres},
	} {
		if word.value != "" && !wordForm.MatchString(word.value) {
			return fmt.Errorf("%s is %q: give one word as sbatch --%s takes it", word.name, word.value, word.name)
		}
	}
	if o.Time != "" && !timeForm.MatchString(o.Time) {
		return fmt.Errorf(`time is %q: give minutes or one of SLURM's forms, such as "90", "12:00:00" or "1-00"`, o.Time)
	}
	if o.Memory != "" && !memoryForm.MatchString(o.Memory) {
		return fmt.Errorf(`mem is %q: give a number with K, M, G or T, such as "8G"`, o.Memory)
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"cpus", o.CPUs}, {"gpus", o.GPUs}, {"parallel", o.Parallel}} {
		if n.value < 0 || n.value > 1<<20 {
			return fmt.Errorf("%s is %d: give a number of 1 or more, or leave it out", n.name, n.value)
		}
	}
	if o.GPUs > 0 && o.Gres != "" {
		return errors.New("give gpus or gres, not both")
	}
	for _, line := range o.Setup {
		if strings.ContainsAny(line, "\n\r") {
			return fmt.Errorf("a line of setup has a line break: give each line by itself: %q", line)
		}
	}
	for _, option := range o.Options {
		if err := checkOption(option); err != nil {
			return err
		}
	}
	return nil
}

func checkOption(option string) error {
	if !strings.HasPrefix(option, "-") || strings.ContainsAny(option, "\n\r") {
		return fmt.Errorf("options has %q: give options of sbatch, such as \"--exclude=node07\"", option)
	}
	name, _, _ := strings.Cut(option, "=")
	for _, own := range ours {
		if name == own || strings.HasPrefix(option, own+" ") {
			return fmt.Errorf("options has %q, which the script sets itself", option)
		}
	}
	return nil
}

// Minutes is a time limit in minutes, 0 if there is none.
func (o Options) Minutes() int {
	if o.Time == "" {
		return 0
	}
	days, rest, dashed := strings.Cut(o.Time, "-")
	if !dashed {
		days, rest = "0", o.Time
	}
	var fields []int
	for _, f := range strings.Split(rest, ":") {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0 // not a form that Check lets pass
		}
		fields = append(fields, n)
	}
	d, err := strconv.Atoi(days)
	if err != nil {
		return 0
	}
	switch { // minutes; minutes:seconds; hours:minutes:seconds; days-hours[:minutes[:seconds]]
	case dashed && len(fields) == 1:
		return d*1440 + fields[0]*60
	case dashed:
		return d*1440 + fields[0]*60 + fields[1]
	case len(fields) < 3:
		return fields[0]
	}
	return fields[0]*60 + fields[1]
}
