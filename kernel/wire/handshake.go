package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	greetingSize = 64
	maxCommand   = 4 << 10 // of a READY or PING; libzmq's own stay below 600 bytes
	maxIdentity  = 255     // by the ZMTP grammar
)

// kind is a socket type with the peers that may connect to it.
type kind struct {
	name  string
	peers []string
}

var (
	routerKind    = kind{"ROUTER", []string{"DEALER", "REQ", "ROUTER"}}
	publisherKind = kind{"XPUB", []string{"SUB", "XSUB"}}
	dealerKind    = kind{"DEALER", []string{"ROUTER", "DEALER", "REP"}}
	subKind       = kind{"SUB", []string{"PUB", "XPUB"}}
	reqKind       = kind{"REQ", []string{"ROUTER", "REP"}}
)

// hello is what a peer said of itself.
type hello struct {
	socketType string
	identity   []byte
}

// handshake exchanges greetings and READY commands, mechanism NULL. The caller
// sets the deadline. We announce ZMTP 3.0, so that subscriptions come as
// messages and not as commands, which zmq4 would not know.
func handshake(r *bufio.Reader, w io.Writer, own kind, identity []byte) (hello, error) {
	if err := exchangeGreetings(r, w, "NULL", false); err != nil {
		return hello{}, err
	}
	if _, err := w.Write(ready(own.name, identity)); err != nil {
		return hello{}, fmt.Errorf("send READY: %w", err)
	}
	peer, err := readReady(r)
	if err != nil {
		return hello{}, fmt.Errorf("read READY: %w", err)
	}
	return peer, own.takes(peer)
}

// takes says why a peer's socket is not one for ours, nil if it is.
func (k kind) takes(peer hello) error {
	if slices.Contains(k.peers, peer.socketType) {
		return nil
	}
	return fmt.Errorf("peer is a %q socket, a %s takes %s", peer.socketType, k.name, strings.Join(k.peers, ", "))
}

// exchangeGreetings sends and reads greetings, which name the mechanism and who is its server.
func exchangeGreetings(r *bufio.Reader, w io.Writer, mechanism string, server bool) error {
	if _, err := w.Write(greetingOf(mechanism, server)); err != nil {
		return fmt.Errorf("send greeting: %w", err)
	}
	if err := readGreeting(r, mechanism); err != nil {
		return fmt.Errorf("read greeting: %w", err)
	}
	return nil
}

// greeting is that of a plain peer, as zmq4 is told.
func greeting() []byte { return greetingOf("NULL", false) }

func greetingOf(mechanism string, server bool) []byte {
	g := make([]byte, greetingSize)
	g[0], g[8], g[9] = 0xff, 1, 0x7f // 8 is the length by which ZMTP 1 peers know us
	g[10], g[11] = 3, 0
	copy(g[12:32], mechanism)
	if server {
		g[32] = 1
	}
	return g
}

func readGreeting(r *bufio.Reader, mechanism string) error {
	var g [greetingSize]byte
	// The signature alone first: an HTTP client or a ZMTP 1 peer may never
	// send 64 bytes.
	if _, err := io.ReadFull(r, g[:10]); err != nil {
		return err
	}
	if g[0] != 0xff || g[9] != 0x7f {
		return fmt.Errorf("signature is %x, not ZMTP", g[:10])
	}
	if _, err := io.ReadFull(r, g[10:]); err != nil {
		return err
	}
	if g[10] < 3 {
		return fmt.Errorf("peer speaks ZMTP %d.%d, 3.0 or later is needed", g[10], g[11])
	}
	if name := string(bytes.TrimRight(g[12:32], "\x00")); name != mechanism {
		return fmt.Errorf("peer wants the security mechanism %q, %s is offered", name, mechanism)
	}
	return nil
}

// ready is a READY command as a frame.
func ready(socketType string, identity []byte) []byte {
	return appendFrame(nil, flagCommand, append([]byte("\x05READY"), properties(socketType, identity)...))
}

func properties(socketType string, identity []byte) []byte {
	return appendProperty(appendProperty(nil, "Socket-Type", []byte(socketType)), "Identity", identity)
}

func appendProperty(dst []byte, name string, value []byte) []byte {
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}

func readReady(r *bufio.Reader) (hello, error) {
	h, err := readHeader(r)
	if err != nil {
		return hello{}, err
	}
	if !h.command() {
		return hello{}, errors.New("peer sent a message before its READY command")
	}
	name, body, err := readCommand(r, h)
	if err != nil {
		return hello{}, err
	}
	if name != "READY" {
		return hello{}, fmt.Errorf("peer sent the command %q, READY is due", name)
	}
	return parseReady(body)
}

// parseReady reads a READY command's properties. zmq4 panics on some malformed
// ones, so what it gets is written anew from this result.
func parseReady(b []byte) (hello, error) {
	var peer hello
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || len(b) < 1+n+4 {
			return hello{}, errors.New("property is cut short")
		}
		name, rest := string(b[1:1+n]), b[1+n:]
		size := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if uint64(size) > uint64(len(rest)) {
			return hello{}, fmt.Errorf("property %q claims %d bytes, %d are left", name, size, len(rest))
		}
		switch strings.ToLower(name) {
		case "socket-type":
			peer.socketType = string(rest[:size])
		case "identity":
			peer.identity = bytes.Clone(rest[:size])
		}
		b = rest[size:]
	}
	if len(peer.identity) > maxIdentity {
		return hello{}, fmt.Errorf("identity of %d bytes, at most %d are allowed", len(peer.identity), maxIdentity)
	}
	return peer, nil
}

// readHeader reads the next frame's header.
func readHeader(r *bufio.Reader) (header, error) {
	var b [maxHeader]byte
	flags, err := r.ReadByte()
	if err != nil {
		return header{}, err
	}
	b[0] = flags
	if _, err := io.ReadFull(r, b[1:headerSize(flags)]); err != nil {
		return header{}, err
	}
	return parseHeader(b[:])
}

// readCommand reads the body of the command frame whose header is h.
func readCommand(r *bufio.Reader, h header) (name string, body []byte, err error) {
	if h.size == 0 || h.size > maxCommand {
		return "", nil, fmt.Errorf("command of %d bytes, 1 to %d are allowed", h.size, maxCommand)
	}
	b := make([]byte, h.size)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", nil, err
	}
	n := int(b[0])
	if n > len(b)-1 {
		return "", nil, fmt.Errorf("command name claims %d bytes, %d are left", n, len(b)-1)
	}
	return string(b[1 : 1+n]), b[1+n:], nil
}
