package kernel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"evalnas/kernel/wire"
)

// Connection is a Jupyter connection file: where the kernel listens, and the
// key that signs messages. With the transport "tcp" a port of 0 lets the
// system choose; Config.Ready then tells which.
type Connection struct {
	Transport       string `json:"transport"` // "tcp" (the default) or "ipc"
	IP              string `json:"ip"`        // with ipc the sockets' path is IP-PORT
	ShellPort       int    `json:"shell_port"`
	ControlPort     int    `json:"control_port"`
	IOPubPort       int    `json:"iopub_port"`
	StdinPort       int    `json:"stdin_port"`
	HBPort          int    `json:"hb_port"`
	Key             string `json:"key"`              // empty: messages are not signed
	SignatureScheme string `json:"signature_scheme"` // "hmac-sha256"
	KernelName      string `json:"kernel_name,omitempty"`
	// A pair of keys in Z85: then all sockets speak encrypted only (ZMTP CURVE).
	CurvePublicKey string `json:"curve_publickey,omitempty"`
	CurveSecretKey string `json:"curve_secretkey,omitempty"`
}

// maxConnectionFile is many times what a connection file has.
const maxConnectionFile = 64 << 10

// readConnectionFile reads no more than a connection file can have, and nothing that could
// make a kernel wait, such as a named pipe.
func readConnectionFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("connection file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("connection file %s: it is a folder, a pipe or a device; it must be a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("connection file: %w", err)
	}
	defer f.Close()
	// Of some files, such as those of /proc, the size is not known before.
	data, err := io.ReadAll(io.LimitReader(f, maxConnectionFile+1))
	if err != nil {
		return nil, fmt.Errorf("connection file: %w", err)
	}
	if len(data) > maxConnectionFile {
		return nil, fmt.Errorf("connection file %s: it has more than %d bytes, the most that are allowed", path, maxConnectionFile)
	}
	return data, nil
}

// ReadConnection reads and checks a connection file.
func ReadConnection(path string) (Connection, error) {
	var c Connection
	data, err := readConnectionFile(path)
	if err != nil {
		return c, err
	}
	if !isObject(data) && json.Valid(data) {
		return c, fmt.Errorf("connection file %s: it is not a JSON object", path)
	}
	if err := unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("connection file %s: %w", path, err)
	}
	c.EnsureDefaults()
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("connection file %s: %w", path, err)
	}
	// Whoever wrote the file must know the ports.
	for _, ch := range c.channels() {
		if *ch.port == 0 {
			return c, fmt.Errorf("connection file %s: %s_port is 0 or missing; 1 to 65535 are allowed", path, ch.name)
		}
	}
	return c, nil
}

// EnsureDefaults fills the fields that old clients leave out.
func (c *Connection) EnsureDefaults() {
	if c.Transport == "" {
		c.Transport = "tcp"
	}
	if c.IP == "" && c.Transport == "tcp" {
		c.IP = "127.0.0.1"
	}
	if c.SignatureScheme == "" {
		c.SignatureScheme = "hmac-sha256"
	}
}

// Validate says what is wrong with c, if anything is.
func (c Connection) Validate() error {
	if c.Transport != "tcp" && c.Transport != "ipc" {
		return fmt.Errorf("transport is %q; tcp and ipc are supported", c.Transport)
	}
	if c.SignatureScheme != "hmac-sha256" {
		return fmt.Errorf("signature_scheme is %q; hmac-sha256 is supported", c.SignatureScheme)
	}
	if _, err := c.curve(); err != nil {
		return err
	}
	if c.Transport == "ipc" && c.IP == "" {
		return errors.New("ip is empty; with the transport ipc it is the sockets' path without -PORT")
	}
	return c.validatePorts()
}

// curve are the keys of the sockets, nil where they are not encrypted.
func (c Connection) curve() (*wire.Curve, error) {
	switch {
	case c.CurvePublicKey == "" && c.CurveSecretKey == "":
		return nil, nil
	case c.CurvePublicKey == "":
		return nil, errors.New("curve_secretkey is set and curve_publickey is not; give both or neither")
	case c.CurveSecretKey == "":
		return nil, errors.New("curve_publickey is set and curve_secretkey is not; give both or neither")
	}
	public, err := wire.ParseCurveKey(c.CurvePublicKey)
	if err != nil {
		return nil, fmt.Errorf("curve_publickey %w", err)
	}
	secret, err := wire.ParseCurveKey(c.CurveSecretKey)
	if err != nil { // which does not say the key
		return nil, fmt.Errorf("curve_secretkey %w", err)
	}
	if !public.Belongs(secret) {
		return nil, errors.New("curve_publickey does not belong to curve_secretkey; both must be of one pair")
	}
	return &wire.Curve{Public: public, Secret: secret}, nil
}

// Dialer connects to the sockets of c as a client of the kernel does.
func (c Connection) Dialer() (wire.Dialer, error) {
	keys, err := c.curve()
	if err != nil || keys == nil {
		return wire.Dialer{}, err
	}
	return wire.Dialer{Curve: &wire.ClientCurve{Server: keys.Public, Public: keys.Public, Secret: keys.Secret}}, nil
}

func (c Connection) validatePorts() error {
	owner := make(map[int]string)
	for _, ch := range c.channels() {
		port := *ch.port
		if port < 0 || port > 65535 {
			return fmt.Errorf("%s_port is %d; 0 to 65535 are allowed", ch.name, port)
		}
		if other, taken := owner[port]; taken && port != 0 {
			return fmt.Errorf("%s_port and %s_port are both %d; they must differ", other, ch.name, port)
		}
		if c.Transport == "ipc" && port == 0 {
			return fmt.Errorf("%s_port is 0; with the transport ipc a number is needed", ch.name)
		}
		owner[port] = ch.name
	}
	return nil
}

// channel is one of the five ports of a connection.
type channel struct {
	name string
	port *int
}

func (c *Connection) channels() []channel {
	return []channel{
		{"shell", &c.ShellPort}, {"control", &c.ControlPort}, {"iopub", &c.IOPubPort},
		{"stdin", &c.StdinPort}, {"hb", &c.HBPort},
	}
}

// Address is where a port of c is listened at, as package net has it.
func (c Connection) Address(port int) (network, addr string) {
	if c.Transport == "ipc" {
		return "unix", c.IP + "-" + strconv.Itoa(port)
	}
	host := c.IP
	if host == "*" {
		host = ""
	}
	return "tcp", net.JoinHostPort(host, strconv.Itoa(port))
}

// bindError says which field is at fault when a port of c cannot be bound.
func (c Connection) bindError(field string, port int, err error) error {
	if c.ipAtFault(port, err) {
		hint := "an address of this machine is needed"
		if c.Transport == "ipc" {
			hint = "with the transport ipc it is a path in a folder that exists and can be written to"
		}
		return fmt.Errorf("ip is %q, where nothing can listen: %w; %s", c.IP, err, hint)
	}
	return fmt.Errorf("%s is %d, which cannot be had: %w; another is needed", field, port, err)
}

// ipAtFault tells whether any other port would have failed, too. What the systems call these
// errors differs, so it tries.
func (c Connection) ipAtFault(port int, err error) bool {
	network, addr := c.Address(port)
	if network == "unix" {
		_, err := os.Lstat(addr) // what is there already is in the way
		return err != nil
	}
	var unresolved *net.DNSError // which took long enough once
	if errors.As(err, &unresolved) {
		return true
	}
	network, addr = c.Address(0)
	l, err := net.Listen(network, addr)
	if err != nil {
		return true
	}
	l.Close()
	return false
}

// boundPort is the port that a listener got; paths keep the number they have.
func boundPort(addr net.Addr, asked int) int {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return asked
}
