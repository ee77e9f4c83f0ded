package starlark

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// magics are the commands of a line that starts with %.
var magics map[string]lineMagic

// A lineMagic is one of them.
type lineMagic struct {
	doc string
	run func(r *run, args string) error
}

// It is filled in here because %lsmagic reads it.
func init() {
	magics = map[string]lineMagic{
		"pwd":     {"the directory that load() and relative paths start from", (*run).magicPwd},
		"cd":      {"change that directory", (*run).magicCd},
		"who":     {"the names that cells have defined", (*run).magicWho},
		"whos":    {"the same with types and values", (*run).magicWhos},
		"reset":   {"forget all of them", (*run).magicReset},
		"lsmagic": {"this list", (*run).magicList},
	}
}

// magic runs one line magic.
func (r *run) magic(name, args string) error {
	m, ok := magics[name]
	if !ok {
		return magicError(name)
	}
	return m.run(r, strings.TrimSpace(args))
}

// magicError lists what exists; time is not in the map because preparing
// takes it apart.
func magicError(name string) error {
	names := append(sortedKeys(magics), "time")
	msg := fmt.Sprintf("there is no magic %%%s; ", name)
	if hint := absentMagics[name]; hint != "" {
		msg += hint + "; "
	} else {
		msg += didYouMean(name, names)
	}
	return Named("UsageError", fmt.Errorf("%sthe magics are %%%%time (whole cell), %%%s", msg, strings.Join(names, ", %")))
}

func (r *run) print(format string, args ...any) {
	r.cell.Out.Stream("stdout", fmt.Sprintf(format, args...))
}

func (r *run) magicPwd(string) error {
	r.print("%s\n", r.in.dir)
	return nil
}

func (r *run) magicCd(args string) error {
	dir := strings.Trim(args, `"'`)
	if home, err := os.UserHomeDir(); err == nil && (dir == "" || dir == "~" || strings.HasPrefix(dir, "~/")) {
		dir = filepath.Join(home, strings.TrimPrefix(dir, "~"))
	}
	dir = within(r.in.dir, dir)
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", dir)
	}
	if err != nil {
		return Named("FileNotFoundError", fmt.Errorf("%%cd: %w", err))
	}
	r.in.dir = dir
	return r.magicPwd("")
}

func (r *run) magicWho(string) error {
	names := r.in.userNames()
	if len(names) == 0 {
		r.print("no names are defined yet\n")
		return nil
	}
	r.print("%s\n", strings.Join(names, "  "))
	return nil
}

// whosWidth is how many letters of a value %whos shows.
const whosWidth = 60

func (r *run) magicWhos(string) error {
	for _, name := range r.in.userNames() {
		v := r.in.env[name]
		p := &printer{limit: whosWidth, max: 4 * whosWidth} // letters of 4 bytes
		p.value(v, 0)
		text := strings.ReplaceAll(p.b.String(), "\n", " ")
		r.print("%-20s %-12s %s\n", name, pythonType(v), abbreviate(text, whosWidth))
	}
	return nil
}

func (r *run) magicReset(string) error {
	for name := range r.in.env {
		if name != globalsName && r.in.base[name] == nil {
			delete(r.in.env, name)
		}
	}
	for name, v := range r.in.base {
		r.in.env[name] = v
	}
	return nil
}

func (r *run) magicList(string) error {
	r.print("%%%%time  the cell's duration\n%%time   a statement's\n")
	for _, name := range sortedKeys(magics) {
		r.print("%%%-7s %s\n", name, magics[name].doc)
	}
	return nil
}

// tic and toc measure a %time statement or a %%time cell.
func (r *run) tic() { r.started = append(r.started, time.Now()) }

func (r *run) toc() {
	last := len(r.started) - 1
	if last < 0 {
		return
	}
	took := time.Since(r.started[last])
	r.started = r.started[:last]
	r.print("Wall time: %s\n", roundDuration(took))
}

// roundDuration keeps three digits.
func roundDuration(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
