package kernel

import (
	"encoding/json"

	"evalnas/kernel/wire"
)

// controlHandlers are the requests of the control channel; shutdown_request is apart.
var controlHandlers = map[string]handler{
	"kernel_info_request": (*server).controlInfo,
	"interrupt_request":   (*server).interruptReply,
}

// handleControl answers a control request at once, beside a running cell.
func (s *server) handleControl(m *message) {
	handle, known := controlHandlers[m.header.MsgType]
	switch {
	case known:
		s.answer(s.control, m, handle)
	case m.header.MsgType == "shutdown_request":
		s.handleShutdown(s.control, m)
	default:
		s.handleUnknown(s.control, m)
	}
}

// controlInfo is kernel_info for whoever asks on the control channel: a Jupyter server does.
func (s *server) controlInfo(m *message) (object, error) {
	s.served.Store(true)
	return s.kernelInfo(m)
}

func (s *server) interruptReply(*message) (object, error) {
	s.running.interrupt()
	return object{}, nil
}

// handleShutdown answers and then ends the kernel. From the control channel
// the running cell is given its end first, so that its reply comes before.
func (s *server) handleShutdown(r *wire.Router, m *message) {
	var content struct {
		Restart bool `json:"restart"`
	}
	if err := decode(m, &content); err != nil {
		s.log.Warn("shutdown_request without a readable restart flag", "error", err)
	}
	s.busy(m)
	if r == s.control {
		s.stopExecutor()
	}
	reply := object{"status": "ok", "restart": content.Restart}
	s.reply(r, m, nil, reply)
	// The other clients hear of it too.
	s.iopub.state("shutdown_reply", m.rawHeader, reply)
	s.idle(m)
	s.requestStop()
}

// handleComm takes part in comms only so far as to say that there are none.
func (s *server) handleComm(m *message) {
	s.busy(m)
	defer s.idle(m)
	if m.header.MsgType != "comm_open" {
		s.log.Warn("message for an unknown comm ignored", "type", m.header.MsgType)
		return
	}
	var content struct {
		ID string `json:"comm_id"`
	}
	if err := decode(m, &content); err != nil {
		s.log.Warn("comm_open ignored", "error", err)
		return
	}
	s.iopub.state("comm_close", m.rawHeader, object{"comm_id": content.ID, "data": json.RawMessage("{}")})
}
