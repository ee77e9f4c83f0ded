package wire

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
)

// CurveKey is one half of a key pair of Curve25519.
type CurveKey [32]byte

// Curve are the keys of a socket that speaks encrypted only, by the mechanism CURVE of ZMTP,
// https://rfc.zeromq.org/spec/26/. A peer that speaks plainly, or to another key, gets nothing.
type Curve struct {
	Public, Secret CurveKey
	// AnyClient admits clients of any key. Else a client's lasting key must be Public:
	// jupyter_client takes the pair of the connection file as its own.
	AnyClient bool
}

// ClientCurve are the keys of a client: its own pair, and the public one of the server.
type ClientCurve struct {
	Server, Public, Secret CurveKey
}

// NewCurve makes a pair of keys.
func NewCurve() (public, secret CurveKey, err error) {
	p, s, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return public, secret, err
	}
	return *p, *s, nil
}

// ParseCurveKey reads a key as connection files have it: 40 characters of Z85,
// https://rfc.zeromq.org/spec/32/.
func ParseCurveKey(text string) (CurveKey, error) {
	var key CurveKey
	if len(text) != 40 {
		return key, fmt.Errorf("has %d characters; a key has 40, of Z85", len(text))
	}
	for i := range 8 {
		var word uint64
		for _, c := range []byte(text[5*i : 5*i+5]) {
			digit := strings.IndexByte(z85, c)
			if digit < 0 {
				return key, fmt.Errorf("has the character %q, which Z85 does not have", c)
			}
			word = word*85 + uint64(digit)
		}
		if word > 1<<32-1 {
			return key, fmt.Errorf("has characters %d to %d that are no number of 32 bits in Z85", 5*i+1, 5*i+5)
		}
		binary.BigEndian.PutUint32(key[4*i:], uint32(word))
	}
	return key, nil
}

const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// String writes a key as ParseCurveKey reads it.
func (k CurveKey) String() string {
	var text [40]byte
	for i := range 8 {
		word := binary.BigEndian.Uint32(k[4*i:])
		for j := 4; j >= 0; j-- {
			text[5*i+j] = z85[word%85]
			word /= 85
		}
	}
	return string(text[:])
}

// Belongs says whether the public key is that of the secret one.
func (k CurveKey) Belongs(secret CurveKey) bool {
	public, err := curve25519.X25519(secret[:], curve25519.Basepoint)
	return err == nil && subtle.ConstantTimeCompare(public, k[:]) == 1
}

// The nonces begin with what they are for, so that no two boxes share one.
const (
	nonceHello    = "CurveZMQHELLO---"
	nonceWelcome  = "WELCOME-"
	nonceInitiate = "CurveZMQINITIATE"
	nonceVouch    = "VOUCH---"
	nonceReady    = "CurveZMQREADY---"
	nonceServer   = "CurveZMQMESSAGES"
	nonceClient   = "CurveZMQMESSAGEC"
)

const curveMechanism = "CURVE"

const (
	cookieSize = 96
	helloSize  = 2 + 72 + 32 + 8 + 64 + box.Overhead
	vouchSize  = 16 + 64 + box.Overhead
)

func nonce(prefix string, rest []byte) *[24]byte {
	var n [24]byte
	copy(n[copy(n[:], prefix):], rest)
	return &n
}

// secure is an encrypted connection's state after its handshake.
type secure struct {
	key              [32]byte // of both sides
	outgoing         string   // nonce prefixes
	incoming         string
	sent, received   uint64 // last nonces; they only grow, so that nothing is heard twice
	scratch, message []byte
}

// errForged is a box that was not closed for us, or was changed.
var errForged = errors.New("the box does not open: another key, or a forgery")

// serveCurve is the server's side of the handshake after the greeting.
func serveCurve(r *bufio.Reader, w io.Writer, own kind, keys *Curve) (hello, *secure, error) {
	b, err := readCurve(r, "HELLO", helloSize, helloSize)
	if err != nil {
		return hello{}, nil, err
	}
	if b[0] != 1 || b[1] != 0 {
		return hello{}, nil, fmt.Errorf("peer speaks CURVE %d.%d, 1.0 is needed", b[0], b[1])
	}
	client := [32]byte(b[74:106])
	// A key of small order gives a secret that anybody can work out: who sends one need not know
	// our key, and box takes it all the same.
	if _, err := curve25519.X25519(keys.Secret[:], client[:]); err != nil {
		return hello{}, nil, fmt.Errorf("HELLO: %w", errForged)
	}
	plain, ok := box.Open(nil, b[114:], nonce(nonceHello, b[106:114]), &client, (*[32]byte)(&keys.Secret))
	if !ok || !bytes.Equal(plain, make([]byte, 64)) {
		return hello{}, nil, fmt.Errorf("HELLO: %w", errForged)
	}
	s := &secure{outgoing: nonceServer, incoming: nonceClient, received: binary.BigEndian.Uint64(b[106:])}

	public, secret, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return hello{}, nil, err
	}
	// The RFC's server forgets the client until it shows its cookie. Here a connection has its
	// own goroutine and deadline anyway, so the cookie has nothing to hold.
	random := make([]byte, cookieSize+16)
	if _, err := rand.Read(random); err != nil {
		return hello{}, nil, err
	}
	cookie, tail := random[:cookieSize], random[cookieSize:]
	box.Precompute(&s.key, &client, secret)
	welcome := append([]byte("\x07WELCOME"), tail...)
	// This box is closed with the lasting key: it is what shows the client who we are.
	welcome = box.Seal(welcome, append(public[:], cookie...), nonce(nonceWelcome, tail), &client, (*[32]byte)(&keys.Secret))
	if _, err := w.Write(appendFrame(nil, flagCommand, welcome)); err != nil {
		return hello{}, nil, fmt.Errorf("send WELCOME: %w", err)
	}

	b, err = readCurve(r, "INITIATE", cookieSize+8+32+vouchSize+box.Overhead, maxCommand)
	if err != nil {
		return hello{}, nil, err
	}
	if subtle.ConstantTimeCompare(b[:cookieSize], cookie) != 1 {
		return hello{}, nil, errors.New("INITIATE has another connection's cookie")
	}
	b = b[cookieSize:]
	if plain, err = s.open(b[8:], nonceInitiate, b[:8]); err != nil {
		return hello{}, nil, fmt.Errorf("INITIATE: %w", err)
	}
	lasting := [32]byte(plain[:32])
	vouch := plain[32 : 32+vouchSize]
	said, ok := box.Open(nil, vouch[16:], nonce(nonceVouch, vouch[:16]), &lasting, secret)
	if !ok || !bytes.Equal(said, append(client[:], keys.Public[:]...)) {
		return hello{}, nil, fmt.Errorf("vouch: %w", errForged)
	}
	if !keys.AnyClient && subtle.ConstantTimeCompare(lasting[:], keys.Public[:]) != 1 {
		return hello{}, nil, errors.New("the client's key is not that of the connection file")
	}
	peer, err := parseReady(plain[32+vouchSize:])
	if err != nil {
		return hello{}, nil, fmt.Errorf("INITIATE: %w", err)
	}
	if err := own.takes(peer); err != nil {
		return hello{}, nil, err
	}
	if _, err := w.Write(s.seal(nil, nonceReady, "READY", flagCommand, properties(own.name, nil))); err != nil {
		return hello{}, nil, fmt.Errorf("send READY: %w", err)
	}
	return peer, s, nil
}

// dialCurve is the client's side.
func dialCurve(r *bufio.Reader, w io.Writer, own kind, identity []byte, keys *ClientCurve) (hello, *secure, error) {
	public, secret, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return hello{}, nil, err
	}
	server := (*[32]byte)(&keys.Server)
	s := &secure{outgoing: nonceClient, incoming: nonceServer, sent: 1}
	b := append([]byte("\x05HELLO\x01\x00"), make([]byte, 72)...)
	b = append(b, public[:]...)
	number := binary.BigEndian.AppendUint64(nil, s.sent)
	b = append(b, number...)
	b = box.Seal(b, make([]byte, 64), nonce(nonceHello, number), server, secret)
	if _, err := w.Write(appendFrame(nil, flagCommand, b)); err != nil {
		return hello{}, nil, fmt.Errorf("send HELLO: %w", err)
	}

	const welcomeSize = 16 + 32 + cookieSize + box.Overhead
	if b, err = readCurve(r, "WELCOME", welcomeSize, welcomeSize); err != nil {
		return hello{}, nil, err
	}
	plain, ok := box.Open(nil, b[16:], nonce(nonceWelcome, b[:16]), server, secret)
	if !ok {
		return hello{}, nil, fmt.Errorf("WELCOME: %w", errForged)
	}
	short, cookie := [32]byte(plain[:32]), plain[32:]
	box.Precompute(&s.key, &short, secret)

	tail := make([]byte, 16)
	if _, err := rand.Read(tail); err != nil {
		return hello{}, nil, err
	}
	body := append(append([]byte(nil), keys.Public[:]...), tail...)
	body = box.Seal(body, append(public[:], keys.Server[:]...), nonce(nonceVouch, tail), &short, (*[32]byte)(&keys.Secret))
	body = append(body, properties(own.name, identity)...)
	s.sent++
	number = binary.BigEndian.AppendUint64(nil, s.sent)
	b = append(append([]byte("\x08INITIATE"), cookie...), number...)
	b = box.SealAfterPrecomputation(b, body, nonce(nonceInitiate, number), &s.key)
	if _, err := w.Write(appendFrame(nil, flagCommand, b)); err != nil {
		return hello{}, nil, fmt.Errorf("send INITIATE: %w", err)
	}

	if b, err = readCurve(r, "READY", 8+box.Overhead, maxCommand); err != nil {
		return hello{}, nil, err
	}
	if plain, err = s.open(b[8:], nonceReady, b[:8]); err != nil {
		return hello{}, nil, fmt.Errorf("READY: %w", err)
	}
	peer, err := parseReady(plain)
	if err != nil {
		return hello{}, nil, err
	}
	return peer, s, own.takes(peer)
}

// readCurve reads the body of a handshake's command.
func readCurve(r *bufio.Reader, name string, least, most int) ([]byte, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if !h.command() {
		return nil, fmt.Errorf("peer sent a message before its command %s", name)
	}
	got, body, err := readCommand(r, h)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case got != name:
		return nil, fmt.Errorf("peer sent the command %q, %s is due", got, name)
	case len(body) < least || len(body) > most:
		return nil, fmt.Errorf("%s has %d bytes, %d to %d are allowed", name, len(body), least, most)
	}
	return body, nil
}

// open opens a box of the peer whose nonce ends in number, valid until the next.
func (s *secure) open(sealed []byte, prefix string, number []byte) ([]byte, error) {
	n := binary.BigEndian.Uint64(number)
	if n <= s.received {
		return nil, fmt.Errorf("nonce %d after %d: a message was said again", n, s.received)
	}
	plain, ok := box.OpenAfterPrecomputation(s.message[:0], sealed, nonce(prefix, number), &s.key)
	if !ok {
		return nil, errForged
	}
	s.received = n
	if cap(plain) <= keepBuffer {
		s.message = plain
	}
	return plain, nil
}

// seal appends a command with a box of plain, as a frame.
func (s *secure) seal(dst []byte, prefix, name string, flags byte, plain []byte) []byte {
	s.sent++
	number := binary.BigEndian.AppendUint64(nil, s.sent)
	size := 1 + len(name) + 8 + box.Overhead + len(plain)
	if size > 255 {
		dst = append(dst, flags|flagLong)
		dst = binary.BigEndian.AppendUint64(dst, uint64(size))
	} else {
		dst = append(dst, flags, byte(size))
	}
	dst = append(append(dst, byte(len(name))), name...)
	dst = append(dst, number...)
	return box.SealAfterPrecomputation(dst, plain, nonce(prefix, number), &s.key)
}

// A MESSAGE's box begins with these flags, which are not those of a frame.
const (
	curveMore    = 1 << 0
	curveCommand = 1 << 1
)

// sealFrames appends whole frames, each in a box of its own. libzmq sends MESSAGE as a message,
// though the RFC calls it a command.
func (s *secure) sealFrames(dst, frames []byte) ([]byte, error) {
	for len(frames) > 0 {
		n := headerSize(frames[0])
		h, err := parseHeader(frames)
		if err != nil {
			return dst, err
		}
		var flags byte
		if h.more() {
			flags |= curveMore
		}
		if h.command() {
			flags |= curveCommand
		}
		end := n + int(h.size)
		s.scratch = append(append(s.scratch[:0], flags), frames[n:end]...)
		dst = s.seal(dst, s.outgoing, "MESSAGE", 0, s.scratch)
		if cap(s.scratch) > keepBuffer {
			s.scratch = nil
		}
		frames = frames[end:]
	}
	return dst, nil
}

// reader is where the frames of the peer are read; where nothing is encrypted (s is nil), in itself.
func (s *secure) reader(in *bufio.Reader, limits Limits) *bufio.Reader {
	if s == nil {
		return in
	}
	return bufio.NewReaderSize(&decrypter{in: in, s: s, most: uint64(limits.Message)}, in.Size())
}

// decrypter reads the frames that come in boxes.
type decrypter struct {
	in    *bufio.Reader
	s     *secure
	most  uint64 // bytes of a frame
	box   bytes.Buffer
	plain []byte // frames that are opened and not yet read
	kept  []byte // the buffer of plain
}

const messageHead = len("\x07MESSAGE") + 8

func (d *decrypter) Read(p []byte) (int, error) {
	for len(d.plain) == 0 {
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.plain)
	d.plain = d.plain[n:]
	return n, nil
}

func (d *decrypter) next() error {
	h, err := readHeader(d.in)
	if err != nil {
		return err
	}
	const least = uint64(messageHead + box.Overhead + 1)
	if h.more() || h.size < least || h.size > d.most+least {
		return fmt.Errorf("an encrypted frame of %d bytes, %d to %d are allowed", h.size, least, d.most+least)
	}
	// The buffer grows with what comes, not with what is claimed.
	d.box.Reset()
	if n, err := d.box.ReadFrom(io.LimitReader(d.in, int64(h.size))); err != nil {
		return err
	} else if uint64(n) < h.size {
		return io.ErrUnexpectedEOF
	}
	b := d.box.Bytes()
	if !bytes.HasPrefix(b, []byte("\x07MESSAGE")) {
		return errors.New("peer sent no MESSAGE on an encrypted connection")
	}
	plain, err := d.s.open(b[messageHead:], d.s.incoming, b[8:messageHead])
	if err != nil {
		return err
	}
	var flags byte
	if plain[0]&curveMore != 0 {
		flags |= flagMore
	}
	if plain[0]&curveCommand != 0 {
		flags |= flagCommand
	}
	if plain[0]&^(curveMore|curveCommand) != 0 {
		return fmt.Errorf("message flags are %#02x, reserved bits must be 0", plain[0])
	}
	d.plain = appendFrame(d.kept[:0], flags, plain[1:])
	d.kept = d.plain
	if cap(d.kept) > keepBuffer {
		d.kept = nil
	}
	if d.box.Cap() > keepBuffer {
		d.box = bytes.Buffer{}
	}
	return nil
}
