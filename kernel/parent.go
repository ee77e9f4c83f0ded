package kernel

import (
	"context"
	"os"
	"strconv"
	"time"
)

// parentPoll is how often the parent process is looked for.
const parentPoll = time.Second

// watchParent ends the kernel when the process that started it is gone: a
// server that crashed sends no shutdown.
func (s *server) watchParent(ctx context.Context) {
	pid, err := strconv.Atoi(os.Getenv("JPY_PARENT_PID"))
	if err != nil || pid <= 0 {
		return // not set: nobody to watch
	}
	gone := parentGone(pid)
	if gone == nil {
		return
	}
	tick := time.NewTicker(parentPoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if gone() {
				s.log.Warn("the parent process is gone; the kernel ends", "pid", pid)
				s.requestStop()
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
