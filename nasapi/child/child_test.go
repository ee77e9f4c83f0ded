package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// roleVariable has this test program play somebody's program, or a job that starts one.
const roleVariable = "EVALNAS_CHILD_TEST"

func TestMain(m *testing.M) {
	Supervise()
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// play is a program that answers every line, or a job that has one and waits to be killed.
func play(role string) {
	switch role {
	case "echo":
		in := bufio.NewScanner(os.Stdin)
		in.Buffer(nil, 2<<20)
		for in.Scan() {
			if strings.HasPrefix(in.Text(), `{"end"`) {
				return
			}
			fmt.Printf("{\"echo\":%s}\n", in.Text())
		}
	case "job":
		p, err := Start(&Program{Words: []string{"sh", "-c", forks}}, Options{Dir: os.Getenv("DIR"), Owner: os.Getenv("DIR")})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		m, err := p.Receive(context.Background())
		fmt.Println(m.Name, p.cmd.Process.Pid, err)
		select {}
	}
}

// forks starts processes in the group, outside of it and in a session of their own, and says
// their numbers in the file pids.
const forks = `sleep 1000 & echo $! >> pids
setsid sh -c 'echo $$ >> pids; trap "" TERM; sleep 1000 & echo $! >> pids; wait' &
(setsid sh -c 'echo $$ >> pids; exec sleep 1000' &) &
while [ $(wc -l < pids) -lt 4 ]; do sleep 0.01; done
echo '{"forked": {}}'
trap "" TERM
sleep 1000`

func start(t *testing.T, silence float64, words ...string) *Process {
	t.Helper()
	p, err := Start(&Program{Words: words, Silence: silence}, Options{Dir: t.TempDir(), Grace: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func echo(t *testing.T) *Process {
	t.Helper()
	t.Setenv(roleVariable, "echo")
	return start(t, 20, os.Args[0])
}

func TestDialogue(t *testing.T) {
	p := echo(t)
	for i := range 1000 {
		if err := p.Send("say", i); err != nil {
			t.Fatal(err)
		}
		m, err := p.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var said struct{ Say int }
		if err := m.Read(&said); err != nil || m.Name != "echo" || said.Say != i {
			t.Fatalf("message %q %s, %v; want an echo of %d", m.Name, m.Body, err, i)
		}
	}
	long := strings.Repeat("x", 1<<20)
	if err := p.Send("say", long); err != nil {
		t.Fatal(err)
	}
	m, err := p.Receive(t.Context())
	var said struct{ Say string }
	if err != nil || m.Read(&said) != nil || said.Say != long {
		t.Fatalf("a long message came back with %d bytes, %v", len(m.Body), err)
	}
	if err := p.End(t.Context(), "enough"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Receive(t.Context()); err == nil {
		t.Error("a program that has ended says something")
	}
}

// What a program may do wrong, and what is said of it.
func TestBadPrograms(t *testing.T) {
	for name, c := range map[string]struct {
		script, want string
	}{
		"garbage":         {`echo hello; sleep 100`, `no message (line 1, not a JSON object): "hello"`},
		"second line":     {`echo; echo '[1]'; sleep 100`, `(line 2, not a JSON object)`},
		"two keys":        {`echo '{"a":1,"b":2}'; sleep 100`, "more than one key"},
		"half an object":  {`echo '{"a":1'; sleep 100`, "more than one key, or damaged JSON"},
		"no key":          {`echo '{}'; sleep 100`, "an object without a key"},
		"crash":           {`echo "Traceback: out of luck" >&2; exit 3`, "ended with exit status 3 before it had said all that was expected; it said last:\nTraceback: out of luck"},
		"quiet end":       {`exit 0`, "ended with exit status 0 before"},
		"killed":          {`kill -9 $$`, "ended with signal 9"},
		"half a line":     {`printf '{"a'`, `in the middle of the line "{\"a"`},
		"silence":         {`sleep 100`, "has said nothing for 1s and was ended"},
		"closed output":   {`exec >&-; sleep 100`, "before it had said all"},
		"a line too long": {`yes x | tr -d '\n'`, "more than 16 MiB"},
		"much to say":     {`head -c 100000 /dev/zero | tr '\0' y >&2; echo no >&2; exit 1`, "no"},
	} {
		t.Run(name, func(t *testing.T) {
			silence := 1.0
			if name == "a line too long" { // to write one takes a busy machine longer
				silence = 60
			}
			p := start(t, silence, "sh", "-c", c.script)
			_, err := p.Receive(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v does not say %q", err, c.want)
			}
			if len(err.Error()) > 6000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if err := p.Send("more", 1); err == nil {
				t.Error("a failed program takes messages")
			}
		})
	}
	p := start(t, 1, "no-such-program-here")
	exit := (*ExitError)(nil)
	if _, err := p.Receive(t.Context()); !errors.As(err, &exit) || exit.Code != NotFound || !strings.Contains(err.Error(), "no such program") {
		t.Errorf("a program that is not there: %v", err)
	}
	if err := start(t, 1, "sh", "-c", `read x; echo bad luck >&2; exit 4`).End(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "exit status 4; it said last:\nbad luck") {
		t.Errorf("a bad end is %v", err)
	}
	deaf := start(t, 1, "sh", "-c", "sleep 100")
	var err error
	for i := 0; i < 10_000 && err == nil; i++ {
		err = deaf.Send("say", strings.Repeat("x", 1000))
	}
	if err == nil || !strings.Contains(err.Error(), "has not read what it was told for 1s") {
		t.Errorf("a program that reads nothing: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, stop)
	if _, err := start(t, 20, "sh", "-c", "sleep 100").Receive(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was called off gives %v", err)
	}
}

func TestNothingOutlivesItsJob(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no test by itself: only Linux lets a supervisor adopt processes")
	}
	t.Run("closed", func(t *testing.T) {
		dir := t.TempDir()
		empty(t, dir)
		p, err := Start(&Program{Words: []string{"sh", "-c", forks}, Silence: 20}, Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if m, err := p.Receive(t.Context()); err != nil || m.Name != "forked" {
			t.Fatal(m.Name, err)
		}
		pids := started(t, dir)
		p.Close()
		for _, pid := range pids {
			if alive(pid) {
				t.Errorf("process %d is there after Close", pid)
			}
		}
	})
	t.Run("killed supervisor", func(t *testing.T) {
		dir := t.TempDir()
		empty(t, dir)
		p, err := Start(&Program{Words: []string{"sh", "-c", forks}, Silence: 100}, Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if m, err := p.Receive(t.Context()); err != nil || m.Name != "forked" {
			t.Fatal(m.Name, err)
		}
		pids := started(t, dir)
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		exit := (*ExitError)(nil)
		if _, err := p.Receive(t.Context()); !errors.As(err, &exit) || exit.Code != 128+9 || !strings.Contains(err.Error(), "ended with signal 9") {
			t.Errorf("the end of the supervisor is told as %v", err)
		}
		untilGone(t, pids)
	})
	for _, victims := range []string{"job", "job and supervisor"} {
		t.Run("killed "+victims, func(t *testing.T) {
			dir := t.TempDir()
			empty(t, dir)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), roleVariable+"=job", "DIR="+dir)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			supervisor := 0
			if n, serr := fmt.Sscanf(line, "forked %d <nil>", &supervisor); n != 1 {
				t.Fatal(line, err, serr)
			}
			pids := started(t, dir)
			const sigstop = syscall.Signal(19)                  // Linux'; not every system that compiles this has the name
			if err := cmd.Process.Signal(sigstop); err != nil { // it must not see the other's end
				t.Fatal(err)
			}
			if victims != "job" {
				if err := syscall.Kill(supervisor, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if victims != "job" { // the next program of the same owner finds what is left
				p, err := Start(&Program{Words: []string{"true"}}, Options{Dir: dir, Owner: dir})
				if err != nil {
					t.Fatal(err)
				}
				p.Close()
			}
			untilGone(t, pids)
		})
	}
}

func untilGone(t *testing.T, pids []int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		left := 0
		for _, pid := range pids {
			if alive(pid) {
				left++
			}
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %v are still there", left, pids)
		}
	}
}

func empty(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "pids"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func started(t *testing.T, dir string) []int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "pids"))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil || !alive(pid) {
			t.Fatalf("process %s: %v", word, err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != 4 {
		t.Fatalf("%d processes were started, want 4", len(pids))
	}
	return pids
}

// alive says that a process is there and no zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ")
}

func TestPrograms(t *testing.T) {
	dir := t.TempDir()
	study := filepath.Join(dir, ".evalnas")
	for name, text := range map[string]string{"train.py": "pass", "model.py": "x = 1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	words, err := Words("python3  train.py --epochs 3")
	if err != nil || len(words) != 4 {
		t.Fatal(words, err)
	}
	p, err := New(study, dir, words, []string{"model.py"})
	if err != nil {
		t.Fatal(err)
	}
	if p.Dir != ".." || len(p.Files) != 2 || p.Files[0].Path != "train.py" || p.Name() != "train" || p.String() != "python3 train.py --epochs 3" || p.Folder(study) != dir {
		t.Errorf("the program is %+v, %s, in %s", p, p.Name(), p.Folder(study))
	}
	if err := p.Verify(study); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.py"), []byte("x = 2"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(study); err == nil || !strings.Contains(err.Error(), "model.py was changed") {
		t.Errorf("a changed file is %v", err)
	}
	for line, want := range map[string]string{
		"":                    "is empty",
		"  ":                  "is empty",
		"python 'a b.py'":     `give the words as a list`,
		"python a.py > log":   `'>'`,
		"python $HOME/a.py":   `'$'`,
		"OUT=`pwd` python a ": "'`'",
	} {
		if _, err := Words(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v does not say %q", line, err, want)
		}
	}
	if _, err := New(study, dir, words, []string{"other.py"}); err == nil || !strings.Contains(err.Error(), "other.py") {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := New(study, dir, []string{"a\x00b"}, nil); err == nil {
		t.Error("a word with a zero byte is taken")
	}
	if err := (&Program{Words: []string{"x"}, Silence: -1}).Check(); err == nil {
		t.Error("a negative silence is taken")
	}
}

// Whatever a program writes is a message or a complaint.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{`{"ready":{"protocol":1}}`, `{}`, `{"a":1,"b":2}`, `[`, `{"a":1}{"b":2}`, "", `{"a":{"a":{"a":[]}}}`, "\xff{\"a\":\"\xff\"}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		m, err := parse([]byte(line), 1)
		if err != nil {
			if !errors.Is(err, ErrGarbage) {
				t.Errorf("%q: %v", line, err)
			}
			return
		}
		var v any
		if err := m.Read(&v); err != nil {
			t.Errorf("%q has the body %q, which is no JSON: %v", line, m.Body, err)
		}
	})
}
