package kernel

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"
)

// signedFrames is a message as a client sends it.
func signedFrames(s signer, ids [][]byte, header, content string) [][]byte {
	parts := [][]byte{[]byte(header), []byte("{}"), []byte("{}"), []byte(content)}
	frames := append([][]byte{}, ids...)
	return append(append(frames, delimiter, s.sign(parts)), parts...)
}

// TestSignature uses the HMAC-SHA256 of RFC 4231, test case 2, split over the
// four parts.
func TestSignature(t *testing.T) {
	s := signer{key: []byte("Jefe")}
	parts := [][]byte{[]byte("what do ya "), []byte("want "), []byte("for "), []byte("nothing?")}
	const want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	if got := string(s.sign(parts)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	if err := s.verify([]byte(want), parts); err != nil {
		t.Error(err)
	}
	if err := s.verify([]byte(want[:62]), parts); err == nil {
		t.Error("a short signature was accepted")
	}
}

func TestParseMessageIdentities(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		ids := make([][]byte, n)
		for i := range ids {
			ids[i] = []byte{byte(i)}
		}
		m, err := parseMessage(append(signedFrames(signer{}, ids, `{"msg_type":"x","more":1}`, "{}"), []byte("buffer")), signer{})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.ids) != n || m.header.MsgType != "x" || string(m.rawHeader) != `{"msg_type":"x","more":1}` {
			t.Errorf("with %d identities: %d, type %q, header %s", n, len(m.ids), m.header.MsgType, m.rawHeader)
		}
	}
}

func TestParseMessageTakesNullForEmpty(t *testing.T) {
	parse := func(parts ...string) (*message, error) {
		frames := [][]byte{delimiter, nil}
		for _, p := range parts {
			frames = append(frames, []byte(p))
		}
		return parseMessage(frames, signer{})
	}
	m, err := parse(`{"msg_type":"x"}`, "null", "null", "{}")
	if err != nil || string(m.metadata) != "{}" {
		t.Errorf("null parent and metadata: %+v, %v", m, err)
	}
	if _, err := parse("null", "{}", "{}", "{}"); err == nil {
		t.Error("a null header was taken")
	}
	m, err = parse(`{"msg_type":"x"}`, "{}", "{}", "null")
	if err != nil {
		t.Fatal(err)
	}
	if err := decode(m, &struct{}{}); err == nil {
		t.Error("null content was taken")
	}
}

func TestEncodeMessageHasNoNull(t *testing.T) {
	frames, err := encodeMessage(signer{}, header{MsgType: "x"}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range frames[3:] {
		if string(part) != "{}" {
			t.Errorf("an absent part is %s, want {}", part)
		}
	}
}

// FuzzParseMessage splits its input at newlines into frames. Whatever comes,
// parsing must not panic, and what is accepted must be sound enough to echo.
func FuzzParseMessage(f *testing.F) {
	s := signer{key: []byte("k")}
	for _, frames := range [][][]byte{
		signedFrames(s, [][]byte{[]byte("id")}, `{"msg_type":"execute_request","msg_id":"1"}`, `{"code":"x"}`),
		signedFrames(s, nil, `{"msg_type":1}`, `[]`),
		{delimiter},
		{delimiter, {}, {}, {}, {}, {}},
		{delimiter, {}, []byte(`{"msg_type":"a"}`), {}, {}, {}},
		{[]byte("id")},
	} {
		f.Add(bytes.Join(frames, []byte("\n")), true)
		f.Add(bytes.Join(frames, []byte("\n")), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, signed bool) {
		sign := signer{}
		if signed {
			sign = s
		}
		m, err := parseMessage(bytes.Split(data, []byte("\n")), sign)
		if err != nil {
			return
		}
		frames, err := encodeMessage(sign, header{MsgType: "reply"}, m.rawHeader, m.metadata, m.content)
		if err != nil {
			t.Fatal(err)
		}
		echo, err := parseMessage(frames, sign)
		if err != nil {
			t.Fatalf("an accepted message does not survive its echo: %v", err)
		}
		// An empty content is accepted, to be answered, and is sent as an object without fields.
		if want := orEmpty(m.content); !json.Valid(m.rawHeader) || !bytes.Equal(echo.content, want) {
			t.Errorf("echo has the content %q, want %q", echo.content, want)
		}
	})
}

func TestReplaysAreFewAndForgotten(t *testing.T) {
	var r replays
	for range 2 {
		if r.again(nil) {
			t.Error("messages without signature are told apart")
		}
	}
	for i := range heardMost + 1 {
		if r.again([]byte(strconv.Itoa(i))) {
			t.Fatalf("%d was not heard before", i)
		}
	}
	if !r.again([]byte("1")) || !r.again([]byte(strconv.Itoa(heardMost))) {
		t.Error("a replay was not known")
	}
	if r.again([]byte("0")) || len(r.known) != heardMost || len(r.order) != heardMost {
		t.Errorf("%d are known, at most %d are to be", len(r.known), heardMost)
	}
}
