package child

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Options say how a program is started.
type Options struct {
	Dir string // where; see Program.Folder
	// Env is added to this process's environment: "NAME=value".
	Env []string
	// Owner, if set, names what the program runs for, and what an earlier program of this
	// owner has left behind is killed first. One program of an owner runs at a time.
	Owner string
	// Log takes what the program writes to standard error; nil for nowhere.
	Log io.Writer
	// Grace is how long the program may take to end when it is asked to; 0 means 10 seconds.
	Grace time.Duration
}

const defaultGrace = 10 * time.Second

// Process is a program that runs. One goroutine speaks with it.
type Process struct {
	program  *Program
	patience time.Duration
	grace    time.Duration

	cmd    *exec.Cmd
	mark   string        // in the environment of all that the program starts
	gone   chan struct{} // closed when the supervisor has ended, and what it could not kill
	leash  *os.File      // the supervisor ends when this is closed
	in     *os.File
	out    *os.File
	write  *bufio.Writer
	read   *bufio.Reader
	buf    []byte
	lines  int
	failed error // the first failure: nothing is said after it

	logs   *os.File
	tail   *tail
	copied chan struct{} // closed when standard error has ended
	closed sync.Once
	status error
}

// Start starts a program. It runs until it ends by itself, End or Close.
func Start(program *Program, o Options) (_ *Process, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w", program, err)
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	p := &Process{program: program, patience: program.Patience(), grace: o.Grace, tail: &tail{to: o.Log}, gone: make(chan struct{}), copied: make(chan struct{})}
	var theirs []*os.File // the ends that the supervisor gets
	var ours []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		if err != nil {
			for _, f := range ours {
				f.Close()
			}
		}
	}()
	pipe := func() (r, w *os.File) {
		if err == nil {
			r, w, err = os.Pipe()
		}
		return r, w
	}
	stdin, in := pipe()
	out, stdout := pipe()
	logs, stderr := pipe()
	leash, held := pipe()
	if err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w", program, err)
	}
	theirs, ours = []*os.File{stdin, stdout, stderr, leash}, []*os.File{in, out, logs, held}
	p.in, p.out, p.logs, p.leash = in, out, logs, held
	p.write, p.read = bufio.NewWriterSize(in, 64<<10), bufio.NewReaderSize(out, 64<<10)
	p.mark = markVariable + "=" + cmp.Or(o.Owner, rand.Text())
	if o.Owner != "" {
		killMarked(p.mark)
	}
	p.cmd = exec.Command(self, program.Words...)
	p.cmd.Dir, p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = o.Dir, stdin, stdout, stderr
	p.cmd.ExtraFiles = []*os.File{leash}
	p.cmd.Env = append(append(os.Environ(), o.Env...), p.mark, superviseVariable+"=1")
	apart(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w", program, err)
	}
	go func() {
		defer close(p.gone)
		p.status = p.cmd.Wait()
		// A supervisor that was killed has killed nothing. What the program started may hold
		// its output open, so that its end would not be seen.
		if killedBy(p.cmd.ProcessState) > 0 {
			killMarked(p.mark)
		}
	}()
	go func() {
		defer close(p.copied)
		defer logs.Close() // it was only read
		// What cannot be logged is no reason to stop the program.
		_, _ = io.Copy(p.tail, logs)
	}()
	return p, nil
}

// Send says something. It is written at the next Receive, or when there is much of it.
func (p *Process) Send(name string, body any) error {
	if p.failed != nil {
		return p.failed
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("message %q: %w", name, err)
	}
	if p.write.Available() < len(raw)+len(name)+8 {
		if err := p.in.SetWriteDeadline(time.Now().Add(p.patience)); err != nil {
			return p.fail(err)
		}
	}
	p.write.WriteString(`{"` + name + `":`)
	p.write.Write(raw)
	if _, err := p.write.WriteString("}\n"); err != nil { // which any earlier failure is, too
		return p.broken(err)
	}
	return nil
}

// Receive writes what was sent and waits for the next message. The error says what the
// program did instead; then it is of no further use.
func (p *Process) Receive(ctx context.Context) (Message, error) {
	if p.failed != nil {
		return Message{}, p.failed
	}
	if err := ctx.Err(); err != nil {
		return Message{}, err
	}
	deadline := time.Now().Add(p.patience)
	if err := errors.Join(p.in.SetWriteDeadline(deadline), p.out.SetReadDeadline(deadline)); err != nil {
		return Message{}, p.fail(err)
	}
	// A context that ends brings the deadlines forward, and not those of the next call.
	brought := make(chan struct{})
	leave := context.AfterFunc(ctx, func() {
		defer close(brought)
		past := time.Unix(1, 0)
		_, _ = p.in.SetWriteDeadline(past), p.out.SetReadDeadline(past)
	})
	defer func() {
		if !leave() {
			<-brought
		}
	}()
	if err := p.write.Flush(); err != nil {
		if ctx.Err() != nil {
			return Message{}, ctx.Err()
		}
		return Message{}, p.broken(err)
	}
	for {
		line, kept, err := readLine(p.read, p.buf)
		p.buf = kept
		p.lines++
		switch {
		case err == nil && len(strings.TrimSpace(string(line))) == 0:
			continue
		case err == nil:
			m, err := parse(line, p.lines)
			if err != nil {
				return m, p.complain(err)
			}
			return m, nil
		case ctx.Err() != nil:
			return Message{}, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return Message{}, p.complain(fmt.Errorf("%w for %v and was ended: it may send {\"heartbeat\": {}} while it works, and silence= of exec(...) allows more seconds", ErrSilent, p.patience))
		case errors.Is(err, io.EOF):
			return Message{}, p.ended(line)
		default:
			return Message{}, p.complain(err)
		}
	}
}

// ErrSilent begins the complaint about a program that says nothing for too long.
var ErrSilent = errors.New("has said nothing")

// broken is a failure to write: most likely the program has ended, and then how it did matters.
func (p *Process) broken(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return p.complain(fmt.Errorf("has not read what it was told for %v and was ended", p.patience))
	}
	return p.ended(nil)
}

// complain ends the program for what it did.
func (p *Process) complain(what error) error {
	p.Close()
	return p.fail(fmt.Errorf("%s %w%s", p.program, what, p.tail.text()))
}

// ended says how a program ended that was expected to say something.
func (p *Process) ended(half []byte) error {
	// It may have closed its output and go on.
	stopped := time.AfterFunc(p.grace, p.pull)
	defer stopped.Stop()
	status := p.wait()
	what := fmt.Errorf("ended with %s before it had said all that was expected", p.statusText(status))
	if len(half) > 0 {
		what = fmt.Errorf("%w, in the middle of the line %s", what, excerpt(half))
	}
	return p.fail(&ExitError{Text: fmt.Sprintf("%s %v%s", p.program, what, p.tail.text()), Code: p.exitCode()})
}

// ExitError says that the program ended early.
type ExitError struct {
	Text string
	Code int // its exit status; 128 and the signal where one ended it
}

func (e *ExitError) Error() string { return e.Text }

// NotFound is the exit status of a program that is not there, as a shell gives it.
const NotFound = 127

// exitCode is the program's, as its supervisor gives it; a signal that ends the supervisor
// ends the program.
func (p *Process) exitCode() int {
	if n := killedBy(p.cmd.ProcessState); n > 0 {
		return 128 + n
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *Process) statusText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	exit := (*exec.ExitError)(nil)
	if errors.As(err, &exit) {
		switch code := p.exitCode(); {
		case code == NotFound:
			return "exit status 127 (no such program)"
		case code > 128:
			return fmt.Sprintf("signal %d", code-128)
		default:
			return fmt.Sprintf("exit status %d", code)
		}
	}
	return err.Error()
}

func (p *Process) fail(err error) error {
	if p.failed == nil {
		p.failed = err
	}
	return p.failed
}

// End tells the program that nothing more is wanted and why, gives it the time of grace to
// end by itself, and ends it otherwise. What it says meanwhile is thrown away. The error is
// of a program that ended badly.
func (p *Process) End(ctx context.Context, why string) error {
	if p.failed != nil {
		return p.Close()
	}
	err := p.Send("end", map[string]string{"reason": why})
	deadline := time.Now().Add(p.grace)
	err = errors.Join(err, p.in.SetWriteDeadline(deadline))
	if err == nil {
		_ = p.write.Flush() // it may have ended already, as it may
	}
	_ = p.in.Close()
	stopped := time.AfterFunc(p.grace, p.pull)
	defer stopped.Stop()
	defer context.AfterFunc(ctx, p.pull)()
	if err := p.out.SetReadDeadline(deadline); err == nil {
		_, _ = io.Copy(io.Discard, p.read)
	}
	status := p.wait()
	if err := p.Close(); err != nil {
		return err
	}
	if status != nil {
		return fmt.Errorf("%s ended with %s%s", p.program, p.statusText(status), p.tail.text())
	}
	return nil
}

// Terminate asks the program by SIGTERM to end soon, where the system has that.
func (p *Process) Terminate() error { return terminate(p.cmd.Process) }

// pull has the supervisor kill all there is.
func (p *Process) pull() { _ = p.leash.Close() }

func (p *Process) wait() error {
	p.closed.Do(func() {
		<-p.gone
		// Where something outlived the program, it may hold standard error open.
		_ = p.logs.SetReadDeadline(time.Now().Add(time.Second))
		<-p.copied
	})
	return p.status
}

// Close kills the program with all that it started, if it runs still, and waits until all is
// gone. It may be called again.
func (p *Process) Close() error {
	p.pull()
	_ = p.in.Close()
	// The supervisor's answer to this is the program's death: no news.
	_ = p.wait()
	_ = p.out.Close()
	return nil
}

// tail passes on what is written and keeps the end of it.
type tail struct {
	to io.Writer

	mu   sync.Mutex
	last []byte
}

const tailSize = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	t.last = append(t.last, b...)
	if over := len(t.last) - tailSize; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	t.mu.Unlock()
	_, _ = t.to.Write(b) // a full disk must not stop the program
	return len(b), nil
}

// text is what was said last, for the end of a complaint.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.last), "�"))
	if text == "" {
		return ""
	}
	if len(t.last) >= tailSize { // not from the middle of a line
		if _, rest, ok := strings.Cut(text, "\n"); ok {
			text = rest
		}
	}
	return "; it said last:\n" + text
}
