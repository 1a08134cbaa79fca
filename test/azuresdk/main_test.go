package azuresdk

import (
	"context"
	"fmt"
	"os"
	"testing"

	"skr/test/program"
)

// clientVariable makes the test binary the client in Go.
const clientVariable = "SKR_TEST_CLIENT"

func TestMain(m *testing.M) {
	if os.Getenv(clientVariable) != "" {
		if err := callWithGo(context.Background(), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	program.Main(m, "skr", "skr-emulator")
}
