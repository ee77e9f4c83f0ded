package wire

// assembler follows the byte stream that zmq4 writes, one header and one body
// at a time, and gives whole messages to emit. It leaves out what zmq4 says to
// open a connection: the greeting and READY were exchanged before.
type assembler struct {
	emit func(message []byte) error

	greeting int // bytes of the greeting still to come
	head     []byte
	body     uint64 // bytes of the current frame still to come
	current  header
	message  []byte
}

func newAssembler(emit func(message []byte) error) *assembler {
	return &assembler{emit: emit, greeting: greetingSize}
}

func (a *assembler) write(p []byte) error {
	n := min(a.greeting, len(p))
	a.greeting -= n
	p = p[n:]
	for len(p) > 0 {
		var err error
		if a.body > 0 {
			p, err = a.writeBody(p)
		} else {
			p, err = a.writeHead(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *assembler) writeHead(p []byte) (rest []byte, err error) {
	a.head = append(a.head, p[0])
	p = p[1:]
	if len(a.head) < headerSize(a.head[0]) {
		return p, nil
	}
	if a.current, err = parseHeader(a.head); err != nil {
		return nil, err
	}
	if !a.current.command() {
		a.message = append(a.message, a.head...)
	}
	a.head = a.head[:0]
	a.body = a.current.size
	if a.body == 0 {
		return p, a.endFrame()
	}
	return p, nil
}

func (a *assembler) writeBody(p []byte) (rest []byte, err error) {
	n := len(p)
	if uint64(n) > a.body {
		n = int(a.body)
	}
	if !a.current.command() {
		a.message = append(a.message, p[:n]...)
	}
	a.body -= uint64(n)
	if a.body == 0 {
		return p[n:], a.endFrame()
	}
	return p[n:], nil
}

func (a *assembler) endFrame() error {
	if a.current.more() || a.current.command() {
		return nil
	}
	message := a.message
	if cap(message) > keepBuffer {
		a.message = nil
	} else {
		a.message = message[:0]
	}
	return a.emit(message) // copies
}
