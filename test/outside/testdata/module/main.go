// Command outside uses the packages of skr as another module does.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"
)

// steps are what the program can be asked for. Each file of it adds one.
var steps = map[string]func(context.Context) error{}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, name := range os.Args[1:] {
		step, found := steps[name]
		if !found {
			fmt.Println("the steps are", slices.Sorted(maps.Keys(steps)))
			os.Exit(2)
		}
		if err := step(ctx); err != nil {
			fmt.Printf("%s: %v\n", name, err)
			os.Exit(1)
		}
	}
}
