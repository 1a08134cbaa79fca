package secmem

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// TestArena checks that blocks are zero, have the right size and do not overlap. All idle
// chunks except one are returned.
func TestArena(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a arena
		var held []block
		give := func(i int) {
			mark := held[i].memory
			if len(mark) > 0 && (mark[0] != byte(len(mark)) || slices.Min(mark) != slices.Max(mark)) {
				t.Fatal("another writer changed a block")
			}
			a.free(held[i])
			held = slices.Delete(held, i, i+1)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(held) > 0 && rapid.Bool().Draw(t, "give") {
				give(rapid.IntRange(0, len(held)-1).Draw(t, "which"))
				continue
			}
			size := rapid.OneOf(rapid.IntRange(0, 5000), rapid.IntRange(0, 2*chunkSize)).Draw(t, "size")
			b := a.alloc(size)
			if len(b.memory) != size || cap(b.memory) != size && b.chunk != nil || !bytes.Equal(b.memory, make([]byte, size)) {
				t.Fatalf("%d bytes: got %d of %d, or not zeros", size, len(b.memory), cap(b.memory))
			}
			for i := range b.memory {
				b.memory[i] = byte(size)
			}
			held = append(held, b)
		}
		for len(held) > 0 {
			give(0)
		}
		if a.status.Locked > chunkSize || len(a.chunks) > 1 {
			t.Fatalf("%d unused bytes in %d chunks are kept", a.status.Locked, len(a.chunks))
		}
		for _, c := range a.chunks {
			a.shrink(c)
		}
	})
}

func TestReusedBlockIsZero(t *testing.T) {
	var a arena
	first := a.alloc(100)
	copy(first.memory, canary)
	a.free(first)
	second := a.alloc(100)
	if &first.memory[0] != &second.memory[0] {
		t.Skip("the block was not reused: this system has no protected memory")
	}
	if !bytes.Equal(second.memory, make([]byte, 100)) {
		t.Error("the block still contains the previous secret")
	}
	a.free(second)
	a.shrink(a.chunks[0])
}

// TestBound checks that secrets beyond the bound live on the heap and are counted.
func TestBound(t *testing.T) {
	for _, size := range []int{10, chunkSize + 1} {
		a := arena{status: Status{Locked: maxLocked - chunkSize + 1}}
		b := a.alloc(size)
		if b.chunk != nil || len(b.memory) != size || a.status.OnHeap != size {
			t.Errorf("%d bytes at the bound: %+v", size, a.status)
		}
		a.free(b)
	}
}

func TestStatus(t *testing.T) {
	if got := Protect(); got.Locked < chunkSize || got.Protection == None {
		t.Skipf("%+v: this process may not lock memory", got)
	}
	before := Now()
	large := Hold(make([]byte, 3*chunkSize))
	if got := Now().Locked - before.Locked; got != 3*chunkSize {
		t.Errorf("a secret of %d bytes takes %d bytes", 3*chunkSize, got)
	}
	if large.Wipe(); Now() != before {
		t.Errorf("then %+v, before %+v", Now(), before)
	}
}

// TestProtection checks that the kernel reports locked memory that is excluded from dumps.
func TestProtection(t *testing.T) {
	for name, mapped := range map[string]func(int) ([]byte, error){"secretmem": mapSecret, "": mapLocked} {
		memory, err := mapped(chunkSize)
		if err != nil {
			t.Logf("%q is not tested: %v", name, err)
			continue
		}
		header, flags := mapping(t, memory)
		for _, flag := range []string{"lo", "dd", "dc"} { // locked, not dumped, not copied to a child
			if !slices.Contains(strings.Fields(flags), flag) {
				t.Errorf("%q lacks the flag %q: %s", header, flag, flags)
			}
		}
		if !strings.Contains(header, name) {
			t.Errorf("%q is not %s", header, name)
		}
		unprotect(memory)
	}
}

// mapping returns the entry of /proc/self/smaps that contains the memory.
func mapping(t *testing.T, memory []byte) (header, flags string) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	at := uintptr(unsafe.Pointer(&memory[0]))
	var inside bool
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			if inside = from <= at && at < to; inside {
				header = lines.Text()
			}
		}
		if text, found := strings.CutPrefix(lines.Text(), "VmFlags:"); found && inside {
			return header, text
		}
	}
	t.Fatal("the memory is not in /proc/self/smaps")
	return "", ""
}
