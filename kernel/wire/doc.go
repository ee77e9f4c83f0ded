// Package wire is ZeroMQ as a kernel can rely on it: the sockets are zmq4's,
// the connections below them are ours.
//
// Router (shell, control, stdin, heartbeat) and Publisher (IOPub) each own one
// zmq4 socket. That socket listens through a transport registered here, whose
// listener and connections stand between zmq4 and the network:
//
//		peer <-TCP or unix-> conn (frame.go, outbox.go) <-ZMTP in memory-> zmq4
//
//	  - listener.go accepts, and does the ZMTP handshake (handshake.go) in the
//	    background with a deadline. zmq4 does it inside its accept loop, where a
//	    peer that says nothing would lock every other one out. zmq4 then gets a
//	    handshake replayed from memory.
//	  - conn.go reads: it parses each frame header before zmq4 sees it, because
//	    zmq4 allocates whatever size a header claims. Commands end here.
//	  - outbox.go writes: frames are joined into messages, queued per peer up to
//	    a limit, and a peer that takes nothing while others wait is cut; on a Router
//	    one that takes too little, too.
//	  - pacer.go makes zmq4's unbounded publish queue one message deep, and tells
//	    when everything was handed to the connections.
//
// A peer inside this process is an opaque key, unique for each connection:
// eight bytes of serial number and then the identity that the peer chose. Two
// clients with one identity therefore each get their own replies.
//
// Goroutines: one accept loop for each listener, one handshake for each new
// connection (bounded in number and time), one writer for each connection; and
// zmq4's own. Close ends them all but one: zmq4 leaves the goroutine of an
// XPUB socket's queue behind.
package wire
