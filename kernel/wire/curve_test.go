package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/nacl/box"
)

// curvePair are the keys of a server, and of the client that its connection file names.
func curvePair(t testing.TB) (*Curve, *ClientCurve) {
	t.Helper()
	public, secret, err := NewCurve()
	if err != nil {
		t.Fatal(err)
	}
	return &Curve{Public: public, Secret: secret}, &ClientCurve{Server: public, Public: public, Secret: secret}
}

func stranger(t testing.TB, of *ClientCurve) *ClientCurve {
	t.Helper()
	_, own := curvePair(t)
	own.Server = of.Server
	return own
}

func TestCurveEcho(t *testing.T) {
	server, client := curvePair(t)
	r := newRouter(t, Options{Curve: server})
	c, err := Dialer{client}.Dealer("tcp", r.Addr().String(), []byte("me"))
	check(t, err)
	defer c.Close()
	check(t, c.SetReadDeadline(time.Now().Add(deadline)))
	for _, sizes := range [][]int{{0}, {1}, {222}, {223}, {255}, {256}, {0, 0, 0}, {1, 300, 0, 70000}, {5 << 20}} {
		var sent [][]byte
		for i, n := range sizes {
			sent = append(sent, bytes.Repeat([]byte{byte('a' + i)}, n))
		}
		check(t, c.Send(sent))
		got, err := c.Recv()
		check(t, err)
		if !bytes.Equal(bytes.Join(got, []byte("|")), bytes.Join(sent, []byte("|"))) {
			t.Errorf("frames of %v bytes came back changed", sizes)
		}
	}
}

// TestCurveRefuses has the peers that are to get nothing.
func TestCurveRefuses(t *testing.T) {
	server, client := curvePair(t)
	limits := Limits{Handshake: 500 * time.Millisecond}
	closed := newRouter(t, Options{Curve: server, Limits: limits})
	open := *server
	open.AnyClient = true
	anyone := newRouter(t, Options{Curve: &open, Limits: limits})
	plain := newRouter(t, Options{Limits: limits})
	other, _ := curvePair(t)
	wrong := *client
	wrong.Server = other.Public
	for name, of := range map[string]struct {
		to   *Router
		by   Dialer
		want bool
	}{
		"its own client":                {closed, Dialer{client}, true},
		"another client":                {closed, Dialer{stranger(t, client)}, false},
		"another client's heartbeat":    {anyone, Dialer{stranger(t, client)}, true},
		"another server's key":          {closed, Dialer{&wrong}, false},
		"another server's, heartbeat":   {anyone, Dialer{&wrong}, false},
		"a plain client":                {closed, Dialer{}, false},
		"an encrypted one at plain":     {plain, Dialer{client}, false},
		"a plain client at a plain one": {plain, Dialer{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := of.by.Dealer("tcp", of.to.Addr().String(), nil)
			if err == nil {
				c.Close()
			}
			if (err == nil) != of.want {
				t.Errorf("connecting: %v", err)
			}
		})
	}
}

// shaken is the client's end of a connection whose other end serve sees.
func shaken(t testing.TB, server *Curve, client *ClientCurve) (raw net.Conn, sealed, served *secure) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	type ended struct {
		s   *secure
		err error
	}
	done := make(chan ended, 1)
	go func() {
		_, s, err := serveCurve(bufio.NewReader(far), far, routerKind, server)
		done <- ended{s, err}
	}()
	_, sealed, err := dialCurve(bufio.NewReader(near), near, dealerKind, nil, client)
	if err != nil {
		t.Fatal(err)
	}
	e := <-done
	if e.err != nil {
		t.Fatal(e.err)
	}
	return near, sealed, e.s
}

// TestCurveForgeries changes what an encrypted peer says.
func TestCurveForgeries(t *testing.T) {
	server, client := curvePair(t)
	message := AppendMessage(nil, [][]byte{[]byte("hello")})
	for name, forge := range map[string]func(s *secure) []byte{
		"":          func(s *secure) []byte { return sealedBy(t, s, message) },
		"two boxes": func(s *secure) []byte { return append(sealedBy(t, s, message), sealedBy(t, s, message)...) },
		"said again": func(s *secure) []byte {
			b := sealedBy(t, s, message)
			return append(b, b...)
		},
		"a bit turned": func(s *secure) []byte {
			b := sealedBy(t, s, message)
			b[len(b)-1] ^= 1
			return b
		},
		"another nonce": func(s *secure) []byte {
			b := sealedBy(t, s, message)
			binary.BigEndian.PutUint64(b[2+8:], 99)
			return b
		},
		"the other side's box": func(s *secure) []byte {
			return s.seal(nil, nonceServer, "MESSAGE", 0, append([]byte{0}, "hello"...))
		},
		"reserved flags": func(s *secure) []byte {
			return s.seal(nil, nonceClient, "MESSAGE", 0, append([]byte{4}, "hello"...))
		},
		"nothing in it": func(s *secure) []byte { return s.seal(nil, nonceClient, "MESSAGE", 0, nil) },
		"plain":         func(*secure) []byte { return message },
		"too long":      func(*secure) []byte { return []byte{flagLong, 0, 0, 0, 1, 0, 0, 0, 0} },
		"cut short":     func(s *secure) []byte { return sealedBy(t, s, message)[:20] },
	} {
		t.Run(name, func(t *testing.T) {
			_, sealed, served := shaken(t, server, client)
			d := &decrypter{in: bufio.NewReader(bytes.NewReader(forge(sealed))), s: served, most: 1 << 20}
			got, err := io.ReadAll(d)
			if strings.Contains(name, "two") || name == "" {
				if err != nil || !bytes.HasPrefix(got, message) {
					t.Errorf("%q, %v", got, err)
				}
				return
			}
			if err == nil || bytes.Count(got, []byte("hello")) > strings.Count(name, "again") {
				t.Errorf("got %q without a complaint (%v)", got, err)
			}
		})
	}
}

func sealedBy(t testing.TB, s *secure, frames []byte) []byte {
	t.Helper()
	b, err := s.sealFrames(nil, frames)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCurveVouch has a client that claims the key of another: it knows the public half only.
func TestCurveVouch(t *testing.T) {
	server, client := curvePair(t)
	liar := stranger(t, client)
	liar.Public = client.Public
	near, far := net.Pipe()
	defer near.Close()
	done := make(chan error, 1)
	go func() {
		_, _, err := serveCurve(bufio.NewReader(far), far, routerKind, server)
		far.Close()
		done <- err
	}()
	if _, _, err := dialCurve(bufio.NewReader(near), near, dealerKind, nil, liar); err == nil {
		t.Error("the client was let in")
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "vouch") {
		t.Errorf("the server said: %v", err)
	}
}

func TestCurveKeys(t *testing.T) {
	// The example of RFC 32.
	raw := CurveKey{}
	copy(raw[:], []byte{0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B})
	if text := raw.String(); !strings.HasPrefix(text, "HelloWorld") {
		t.Errorf("Z85 gives %s", text)
	}
	public, secret, err := NewCurve()
	check(t, err)
	again, err := ParseCurveKey(public.String())
	if err != nil || again != public || !public.Belongs(secret) || secret.Belongs(public) {
		t.Errorf("%s is read as %s (%v)", public, again, err)
	}
	for _, bad := range []string{"", "abc", strings.Repeat("#", 40), strings.Repeat("~", 40), strings.Repeat("a", 41)} {
		if _, err := ParseCurveKey(bad); err == nil {
			t.Errorf("%q is taken for a key", bad)
		}
	}
}

// FuzzCurve gives the server's handshake, and what reads after it, anything.
func FuzzCurve(f *testing.F) {
	server, client := curvePair(f)
	_, sealed, _ := shaken(f, server, client)
	f.Add(appendFrame(nil, flagCommand, append([]byte("\x05HELLO\x01\x00"), make([]byte, helloSize-2)...)), false)
	f.Add(sealedBy(f, sealed, AppendMessage(nil, [][]byte{[]byte("hello"), {}})), true)
	f.Fuzz(func(t *testing.T, data []byte, after bool) {
		if !after {
			if _, _, err := serveCurve(bufio.NewReader(bytes.NewReader(data)), io.Discard, routerKind, server); err == nil {
				t.Fatal("a stranger was let in")
			}
			return
		}
		d := &decrypter{in: bufio.NewReader(bytes.NewReader(data)), s: &secure{key: sealed.key, incoming: nonceClient, outgoing: nonceServer}, most: 1 << 16}
		_, _ = io.ReadAll(d) // whatever it says, it must end
	})
}

// TestCurveSmallOrder has a client that knows no key of the server, and a transient key of small
// order: the secret of the two is known to anybody.
func TestCurveSmallOrder(t *testing.T) {
	server, _ := curvePair(t)
	var zero, some, key [32]byte
	some[0] = 8
	box.Precompute(&key, &zero, &some)
	b := append([]byte("\x05HELLO\x01\x00"), make([]byte, 72+32)...)
	number := binary.BigEndian.AppendUint64(nil, 1)
	b = append(b, number...)
	b = box.SealAfterPrecomputation(b, make([]byte, 64), nonce(nonceHello, number), &key)
	var out bytes.Buffer
	_, _, err := serveCurve(bufio.NewReader(bytes.NewReader(appendFrame(nil, flagCommand, b))), &out, routerKind, server)
	if !errors.Is(err, errForged) || out.Len() > 0 {
		t.Errorf("a stranger got %d bytes (%v)", out.Len(), err)
	}
}
