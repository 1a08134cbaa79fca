package secmem

import "testing"

// Memory that the kernel does not provide causes an error and does not end the process.
func TestTouchSurvivesAFault(t *testing.T) {
	memory, err := mapLocked(chunkSize)
	if err != nil {
		t.Skipf("no memory may be locked here: %v", err)
	}
	unprotect(memory)
	if touch(memory) == nil {
		t.Error("memory that is not mapped can be touched")
	}
}
