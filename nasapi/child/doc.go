// Package child runs other people's programs beside a job and speaks with them: a trainer or a
// policy in any language is a process that reads messages on its standard input and writes
// messages on its standard output, one JSON object a line. docs/child_protocol.md specifies
// what is said; this package knows how, and nothing of what.
//
//	p, err := child.Start(ctx, program, child.Options{Dir: dir, Log: os.Stderr})
//	defer p.Close()
//	err = p.Send("init", settings)          // kept until the next Receive
//	m, err := p.Receive(ctx)                // {"ready": {...}} is Name "ready" with its Body
//	err = p.End(ctx, "the budget is spent") // polite; Close is not
//
// A Program is what a job's configuration has of it: the words of the command, and the digests
// of the files among them, so that a changed file is another job.
//
// # Processes
//
// Between this process and the program stands a supervisor, which is this executable again
// (Supervise, which main and the tests call first). It leads the program's process group and
// adopts what the program leaves behind, where the system can do that (Linux). When the program
// ends, or this process does, however suddenly, the supervisor kills all that is left: nothing
// that a program started outlives its job. Where the supervisor itself is killed, this process
// does its work (Linux), and where both are, the next one that runs the same job.
//
// # Traps
//
// Send only writes when the buffer is full or Receive is called: a message that nobody waits for
// an answer to costs no system call. The Body of a Message is valid until the next Receive.
package child
