package kernel_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"evalnas/kernel"
	"evalnas/kernel/kerneltest"
)

// TestMain lets the test binary be a kernel, for the tests that need a process
// and for clients outside of Go:
//
//	go test -c -o fakekernel ./kernel
//	KERNEL_TEST_CONNECTION=connection.json ./fakekernel
func TestMain(m *testing.M) {
	file := os.Getenv("KERNEL_TEST_CONNECTION")
	if file == "" {
		os.Exit(m.Run())
	}
	err := kernel.Run(context.Background(), kernel.Config{
		ConnectionFile: file, Language: &kerneltest.Language{}, OwnProcess: true,
		HistoryFile: os.Getenv("KERNEL_TEST_HISTORY"),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
