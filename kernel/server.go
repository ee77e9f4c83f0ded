package kernel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"evalnas/kernel/wire"
)

const (
	// cellGrace is how long a shutdown waits for the interrupted cell.
	cellGrace = 200 * time.Millisecond
	// linger is how long the end of the kernel waits for clients to take what
	// is still to be written.
	linger = 500 * time.Millisecond
	// farewell is how long clients have to leave by themselves after that.
	farewell = 50 * time.Millisecond
)

// Config says how a kernel runs. Language and one of ConnectionFile and
// Connection are needed.
type Config struct {
	ConnectionFile string
	Connection     *Connection // instead of the file
	Language       Language
	Version        string       // of the implementation; "0" if empty
	Log            *slog.Logger // nil: warnings and errors go to standard error
	Limits         wire.Limits  // zero: the defaults there
	// HistoryFile keeps the cells across sessions, shared with other kernels; see
	// the function of that name. Empty: the history ends with the kernel.
	HistoryFile string

	// OwnProcess makes Run the owner of the process: SIGINT interrupts the
	// running cell, SIGTERM and SIGHUP shut down, and so does the end of the
	// process that JPY_PARENT_PID names. The garbage collector is set too: for
	// few collections while cells run, and little memory at rest.
	OwnProcess bool

	// Ready, if not nil, is called when all sockets are bound, with the ports
	// that they have.
	Ready func(Connection)
}

// Run serves clients until one of them asks for a shutdown or ctx ends, and
// then writes all output that is due before it returns. An address that cannot
// be bound is an error at once: whoever started the kernel chooses another.
//
// A language that is an io.Closer is closed at the end.
func Run(ctx context.Context, cfg Config) error {
	s, err := newServer(cfg)
	if err != nil {
		return err
	}
	if err := s.bind(); err != nil {
		return errors.Join(err, s.closeSockets())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.start(ctx)
	if cfg.Ready != nil {
		cfg.Ready(s.connection)
	}
	select {
	case <-ctx.Done():
		s.log.Debug("context ended")
	case <-s.stop:
	}
	cancel()
	return s.finish()
}

// server is a running kernel. Its goroutines:
//   - one receiver for each of shell, control, stdin and heartbeat;
//   - the executor, which runs shell requests one at a time;
//   - iopub's sender;
//   - the history file's writer, while it has something to write;
//   - with OwnProcess, the watchers of signals and of the parent process.
type server struct {
	cfg        Config
	log        *slog.Logger
	connection Connection
	session    *session
	lang       Language

	shell, control, stdin, heartbeat *wire.Router
	publisher                        *wire.Publisher

	heard    replays
	iopub    *iopub
	requests *requests
	history  *history
	input    *input
	garbage  *garbage
	running  execution
	// served says that a Jupyter server is known to pass on our output: it set
	// JPY_SESSION_NAME, or asked for kernel_info on the control channel, as
	// those do. Where nobody asked, requests of batch clients, which allow no
	// questions, show that there is none.
	served atomic.Bool

	// count is the number of the last cell, the executor's alone.
	count int
	// abortBefore is the arrival number up to which execute requests are
	// aborted after an error, the executor's alone.
	abortBefore uint64

	stop     chan struct{} // closed when the kernel is to end
	stopOnce sync.Once
	executor sync.WaitGroup // the executor
	// stopExecutor is endExecutor, once.
	stopExecutor func() bool
	others       sync.WaitGroup // all other goroutines
}

func newServer(cfg Config) (*server, error) {
	if cfg.Language == nil {
		return nil, errors.New("kernel: Config.Language is nil")
	}
	if cfg.Version == "" {
		cfg.Version = "0"
	}
	c, err := cfg.readConnection()
	if err != nil {
		return nil, fmt.Errorf("kernel: %w", err)
	}
	session, err := newSession(c.Key)
	if err != nil {
		return nil, fmt.Errorf("kernel: %w", err)
	}
	s := &server{cfg: cfg, log: cfg.Log, connection: c, session: session, lang: cfg.Language,
		requests: newRequests(), history: &history{}, stop: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	s.served.Store(cfg.OwnProcess && os.Getenv("JPY_SESSION_NAME") != "")
	if cfg.HistoryFile != "" {
		s.history.file = &historyFile{path: cfg.HistoryFile, log: s.log}
	}
	s.input = newInput(s)
	s.stopExecutor = sync.OnceValue(s.endExecutor)
	s.iopub = newIOPub(session, s.log, func(frames [][]byte) error { return s.publisher.Send(frames) })
	return s, nil
}

func (cfg *Config) readConnection() (Connection, error) {
	if cfg.Connection == nil {
		return ReadConnection(cfg.ConnectionFile)
	}
	c := *cfg.Connection
	c.EnsureDefaults()
	return c, c.Validate()
}

// bind opens the five sockets and notes the ports that they got.
func (s *server) bind() error {
	c := &s.connection
	keys, err := c.curve()
	if err != nil {
		return err
	}
	opts := wire.Options{Limits: s.cfg.Limits, Log: s.log, Curve: keys}
	small := opts // for sockets on which peers have little to say
	small.Limits.Message = 64 << 10
	small.OnSubscribe = s.welcome
	heart := small
	if keys != nil { // jupyter_client makes a new key for each heartbeat
		open := *keys
		open.AnyClient = true
		heart.Curve = &open
	}
	return cmp.Or( // the first failure says enough
		s.bindRouter(&s.heartbeat, &c.HBPort, "hb_port", heart),
		s.bindPublisher(&c.IOPubPort, small),
		s.bindRouter(&s.stdin, &c.StdinPort, "stdin_port", opts),
		s.bindRouter(&s.control, &c.ControlPort, "control_port", opts),
		s.bindRouter(&s.shell, &c.ShellPort, "shell_port", opts),
	)
}

func (s *server) bindRouter(r **wire.Router, port *int, field string, opts wire.Options) error {
	network, addr := s.connection.Address(*port)
	router, err := wire.ListenRouter(network, addr, opts)
	if err != nil {
		return fmt.Errorf("kernel: %w", s.connection.bindError(field, *port, err))
	}
	*r = router
	*port = boundPort(router.Addr(), *port)
	return nil
}

func (s *server) bindPublisher(port *int, opts wire.Options) error {
	network, addr := s.connection.Address(*port)
	publisher, err := wire.ListenPublisher(network, addr, opts)
	if err != nil {
		return fmt.Errorf("kernel: %w", s.connection.bindError("iopub_port", *port, err))
	}
	s.publisher = publisher
	*port = boundPort(publisher.Addr(), *port)
	return nil
}

// welcome greets a new subscriber of IOPub, and it alone, so that it knows
// that it will miss nothing from here on.
func (s *server) welcome(topic []byte, send func([][]byte)) {
	frames, err := s.session.frames("iopub_welcome", nil, nil, object{"subscription": string(topic)})
	if err != nil {
		s.log.Error("no welcome sent", "error", err)
		return
	}
	send(append([][]byte{topic}, frames...))
}

func (s *server) start(ctx context.Context) {
	s.goOther(s.iopub.run)
	// Sent before anybody is told that the kernel is ready: whoever subscribes after
	// that gets no state that answers no request of theirs.
	s.iopub.state("status", nil, object{"execution_state": "starting"})
	if err := s.iopub.flush(ctx); err != nil {
		s.log.Debug("ended while starting", "error", err)
	}
	s.goOther(func() { s.receive(s.shell, s.requests.put) })
	s.goOther(func() { s.receive(s.control, s.handleControl) })
	s.goOther(func() { s.receive(s.stdin, s.input.deliver) })
	s.goOther(s.echo)
	if s.cfg.OwnProcess {
		s.garbage = newGarbage()
	}
	s.executor.Add(1)
	go func() {
		defer s.executor.Done()
		s.execute(ctx)
	}()
	if s.cfg.OwnProcess {
		s.goOther(func() { s.watchSignals(ctx) })
		s.goOther(func() { s.watchParent(ctx) })
	}
}

func (s *server) goOther(f func()) {
	s.others.Add(1)
	go func() {
		defer s.others.Done()
		f()
	}()
}

// receive gives each sound message of a socket to handle, until the socket is
// shut down. What is not sound is logged and forgotten.
func (s *server) receive(r *wire.Router, handle func(*message)) {
	for {
		frames, err := r.Recv()
		if err != nil {
			return
		}
		m, err := parseMessage(frames, s.session.signer)
		if err != nil {
			s.log.Warn("message dropped", "error", err)
			continue
		}
		if len(m.ids) == 0 {
			s.log.Warn("message dropped", "error", "no identity frame")
			continue
		}
		if s.heard.again(m.signature) {
			s.log.Warn("message dropped", "error", "its signature was heard before: a replay")
			continue
		}
		handle(m)
	}
}

// echo is the heartbeat.
func (s *server) echo() {
	for {
		frames, err := s.heartbeat.Recv()
		if err != nil {
			return
		}
		if err := s.heartbeat.Send(frames); err != nil {
			s.log.Debug("heartbeat not answered", "error", err)
		}
	}
}

// execute runs shell requests until the queue is closed.
func (s *server) execute(ctx context.Context) {
	for {
		r, ok := s.requests.next()
		if !ok {
			return
		}
		s.handleShell(ctx, r)
		s.garbage.worked()
	}
}

// requestStop makes Run end.
func (s *server) requestStop() {
	s.stopOnce.Do(func() { close(s.stop) })
}

// endExecutor interrupts the cell and takes no more requests. It reports
// whether the executor has ended within the grace. Call it as stopExecutor,
// which does it once.
func (s *server) endExecutor() bool {
	s.requests.close()
	s.iopub.rush()
	s.running.interrupt()
	done := make(chan struct{})
	go func() {
		s.executor.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(cellGrace):
		s.log.Warn("the running cell does not end; the kernel ends without it")
		return false
	}
}

// finish ends the kernel: the cell, the output, the sockets, in that order.
func (s *server) finish() error {
	ended := s.stopExecutor()
	s.history.hurry()
	ctx, cancel := context.WithTimeout(context.Background(), linger)
	defer cancel()
	err := s.drain(ctx)
	s.iopub.close()
	err = errors.Join(err, s.closeSockets())
	s.others.Wait()
	s.garbage.close()
	s.history.close()
	if closer, ok := s.lang.(io.Closer); ok && ended {
		err = errors.Join(err, closer.Close())
	}
	return err
}

func (s *server) drain(ctx context.Context) error {
	if err := s.iopub.flush(ctx); err != nil {
		return fmt.Errorf("kernel: output is lost: %w", err)
	}
	errs := make(chan error, 3)
	go func() { errs <- s.publisher.Drain(ctx) }()
	go func() { errs <- s.control.Drain(ctx) }()
	go func() { errs <- s.shell.Drain(ctx) }()
	if err := errors.Join(<-errs, <-errs, <-errs); err != nil {
		return fmt.Errorf("kernel: %w", err)
	}
	return nil
}

// closeSockets shuts all sockets that were bound, at once.
func (s *server) closeSockets() error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	var mu sync.Mutex
	var all error
	var wg sync.WaitGroup
	for _, shutdown := range s.shutdowns() {
		wg.Go(func() {
			err := shutdown(ctx)
			mu.Lock()
			all = errors.Join(all, err)
			mu.Unlock()
		})
	}
	wg.Wait()
	return all
}

func (s *server) shutdowns() []func(context.Context) error {
	var all []func(context.Context) error
	for _, r := range []*wire.Router{s.shell, s.control, s.stdin, s.heartbeat} {
		if r != nil {
			all = append(all, r.Shutdown)
		}
	}
	if s.publisher != nil {
		all = append(all, s.publisher.Shutdown)
	}
	return all
}

// watchSignals turns signals into what a client would ask for.
func (s *server) watchSignals(ctx context.Context) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	for {
		select {
		case got := <-signals:
			s.log.Debug("signal", "signal", got)
			if got == os.Interrupt {
				s.running.interrupt()
			} else {
				s.requestStop()
			}
		case <-ctx.Done():
			return
		}
	}
}
