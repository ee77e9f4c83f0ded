//go:build !linux

package jobs

import (
	"runtime"

	"evalnas/nasapi/host"
)

func myShare() (any, error) { return shareResult{host.Cores(), runtime.GOMAXPROCS(0), 0}, nil }
