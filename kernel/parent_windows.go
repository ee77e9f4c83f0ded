package kernel

import "syscall"

// parentGone returns a test for the end of the parent. On Windows Jupyter
// passes a handle to the parent process and not its number; one that cannot be
// waited for gives no test.
func parentGone(handle int) func() bool {
	if _, err := syscall.WaitForSingleObject(syscall.Handle(handle), 0); err != nil {
		return nil
	}
	return func() bool {
		event, err := syscall.WaitForSingleObject(syscall.Handle(handle), 0)
		return err == nil && event == syscall.WAIT_OBJECT_0
	}
}
