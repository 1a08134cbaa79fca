package tpm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"skr/test/swtpm"
)

// clock is shared by the paravisor and the caller that waits.
type clock struct {
	mu  sync.Mutex
	now time.Time
	// after, if set, is called after each Sleep.
	after func()
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, pause time.Duration) error {
	c.mu.Lock()
	c.now = c.now.Add(pause)
	c.mu.Unlock()
	if c.after != nil {
		c.after()
	}
	return ctx.Err()
}

func confidential(t *testing.T) (*TPM, *clock) {
	t.Helper()
	chip, err := newChip()
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: begin}
	opened, _ := start(t, swtpm.Config{Chip: chip, Now: c.Now})
	return opened, c
}

// carries does what package attest/vtpm does with a parsed report.
func carries(report []byte, data UserData) (bool, error) {
	return strings.Contains(string(report), fmt.Sprintf(`"user-data":"%X"`, data)), nil
}

func (c *clock) ask(data string) Fresh {
	return Fresh{UserData: UserData([]byte(fmt.Sprintf("%-64s", data))), Carries: carries, Sleep: c.Sleep}
}

func TestFreshReport(t *testing.T) {
	opened, c := confidential(t)
	for i, waits := range []time.Duration{0, pauses[0]} {
		before := c.Now()
		report, err := opened.FreshReport(t.Context(), c.ask(fmt.Sprint("question ", i)))
		if err != nil {
			t.Fatal(err)
		}
		if len(report) != 2600 {
			t.Errorf("report %d has %d bytes", i, len(report))
		}
		if waited := c.Now().Sub(before); waited != waits {
			t.Errorf("report %d came after %s, want %s", i, waited, waits)
		}
	}
	before := c.Now()
	if _, err := opened.FreshReport(t.Context(), c.ask("question 1")); err != nil || c.Now() != before {
		t.Errorf("the same question: after %s, error %v", c.Now().Sub(before), err)
	}
}

func TestFreshReportConcurrently(t *testing.T) {
	opened, c := confidential(t)
	c.after = func() {
		if len(opened.report) != 1 {
			t.Error("a second caller does not wait for the first one's report")
		}
	}
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			if _, err := opened.FreshReport(t.Context(), c.ask(fmt.Sprint("question ", i))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestFreshReportRedefinesUserData(t *testing.T) {
	opened, c := confidential(t)
	err := opened.do(t.Context(), "defining", func(x *exchange) error {
		_, err := run(x, tpm2.NVDefineSpace{AuthHandle: owner, PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
			NVIndex: tpm2.TPMHandle(UserDataIndex), NameAlg: tpm2.TPMAlgSHA256, DataSize: 32,
			Attributes: tpm2.TPMANV{OwnerRead: true, OwnerWrite: true, NT: tpm2.TPMNTOrdinary},
		})})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.FreshReport(t.Context(), c.ask("question")); err != nil {
		t.Error(err)
	}
	if content, err := opened.ReadIndex(t.Context(), UserDataIndex); err != nil || !strings.HasPrefix(string(content), "question ") || len(content) != 64 {
		t.Errorf("user data %q, error %v", content, err)
	}
}

// Another program writes its own user data, once in one case and always in the other.
func TestFreshReportWithAnotherWriter(t *testing.T) {
	for _, times := range []int{1, 100} {
		opened, c := confidential(t)
		if _, err := opened.FreshReport(t.Context(), c.ask("first")); err != nil {
			t.Fatal(err)
		}
		c.after = func() {
			if times--; times < 0 {
				return
			}
			err := opened.do(t.Context(), "interfering", func(x *exchange) error {
				if err := putUserData(x, c.ask(fmt.Sprint("other ", times)).UserData); err != nil {
					return err
				}
				c.mu.Lock() // and reads its report, so that ours never becomes due
				c.now = c.now.Add(3 * time.Second)
				c.mu.Unlock()
				_, err := readIndex(x, HCLReport)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		persistent := times > 1
		before := c.Now()
		_, err := opened.FreshReport(t.Context(), c.ask("second"))
		if (err != nil) != persistent || persistent && !strings.Contains(err.Error(), "another program") {
			t.Errorf("after %s: error %v", c.Now().Sub(before), err)
		}
	}
}

func TestFreshReportGivesUp(t *testing.T) {
	opened, c := confidential(t)
	broken := errors.New("not an HCL report")
	ask := c.ask("question")
	ask.Carries = func([]byte, UserData) (bool, error) { return false, broken }
	if _, err := opened.FreshReport(t.Context(), ask); !errors.Is(err, broken) || c.Now() != begin {
		t.Errorf("an unreadable report: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.after = cancel
	ask.Carries = func([]byte, UserData) (bool, error) { return false, nil }
	if _, err := opened.FreshReport(ctx, ask); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	if _, err := opened.FreshReport(ctx, ask); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: error %v", err)
	}
}

func TestSleep(t *testing.T) {
	if err := sleep(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
