package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"golang.org/x/sync/errgroup"

	"skr/examples/kafka/consumer"
	"skr/examples/kafka/emulated"
	"skr/examples/kafka/environment"
	"skr/examples/kafka/pod"
	"skr/examples/kafka/producer"
)

const (
	topic      = "kafka-demo-topic"
	partitions = 3
	keyName    = "kafka-encryption-demo"
	text       = "Azure Confidential Computing"
	patience   = 30 * time.Second
	pollEvery  = 100 * time.Millisecond
)

// demo is what runs, and where it says so.
type demo struct {
	page        net.Listener
	out         io.Writer
	log         *slog.Logger
	bin, listen string
	once        bool
}

// play until ctx ends or, with once, the pages show what they should.
func (d demo) play(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", d.listen) // first: nothing else is worth starting without it
	if err != nil {
		return fmt.Errorf("%w (--listen ADDRESS takes another one; does the demonstration run already?)", err)
	}
	defer func() { _ = listener.Close() }() // it is closed where it was served
	d.page = listener
	dir, err := os.MkdirTemp("", "skr-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a left-over in /tmp is no harm
	if d.bin, err = filepath.Abs(d.bin); err != nil {
		return err
	}
	cloud, err := emulated.In(d.bin).Start(ctx, emulated.Pod{Dir: dir})
	if err != nil {
		return fmt.Errorf("%w (make build makes it)", err)
	}
	defer cloud.Stop()
	d.tell("an emulated Azure", "attestation "+cloud.Authority()+", key vault "+cloud.Vault())
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic))
	if err != nil {
		return fmt.Errorf("starting Kafka: %w", err)
	}
	defer kafka.Close()
	brokers := strings.Join(kafka.ListenAddrs(), ",")
	d.tell("an in-memory Kafka", brokers+", topic "+topic)
	return d.playPod(ctx, cloud, brokers)
}

func (d demo) playPod(ctx context.Context, cloud *emulated.Cloud, brokers string) error {
	measurement, err := cloud.Measurement(ctx)
	if err != nil {
		return err
	}
	public, err := cloud.CreateKey(ctx, keyName, measurement)
	if err != nil {
		return err
	}
	d.tell("a key", keyName+", released to the pod with HOST_DATA "+measurement)
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	stop, err := cloud.Sidecar(ctx, address, io.Discard)
	if err != nil {
		return err
	}
	defer stop()
	d.tell("skr", address)
	return d.playMessages(ctx, address, map[string]string{
		"TOPIC": topic, "BROKERS": brokers, "MSG": text, "PUBKEY": public, "SkrClientKID": keyName,
		"SkrClientMAAEndpoint": cloud.Authority(), "SkrClientAKVEndpoint": cloud.Vault(),
	})
}

// errShown ends everything: the pages show what they should.
var errShown = errors.New("shown")

// playMessages runs the producer and the consumer twice: beside skr, and as the AKS
// article tells its readers to try, as an ordinary pod, in which nothing answers.
func (d demo) playMessages(ctx context.Context, skr string, settings map[string]string) error {
	var free [3]string
	for i := range free {
		var err error
		if free[i], err = freeAddress(ctx); err != nil {
			return err
		}
	}
	may, mayNot, nobody := free[0], free[1], free[2]
	group, ctx := errgroup.WithContext(ctx)
	start := func(name string, program pod.Program, more map[string]string) {
		all := maps.Clone(settings)
		maps.Copy(all, more)
		getenv := func(name string) string { return all[name] }
		group.Go(func() error { return program(ctx, environment.New(getenv), d.log.With("program", name)) })
	}
	start("produce", producer.Run, nil)
	start("consume", consumer.Run, map[string]string{"LISTEN": may, "SkrClientURL": "http://" + skr})
	start("consume without skr", consumer.Run, map[string]string{"LISTEN": mayNot, "SkrClientURL": "http://" + nobody})
	group.Go(func() error { return serveSide(ctx, d.page, may, mayNot) })
	group.Go(func() error { return d.watch(ctx) })
	if err := group.Wait(); !errors.Is(err, errShown) {
		return err
	}
	return nil
}

// watch tells what the pages show.
func (d demo) watch(ctx context.Context) error {
	if err := d.await(ctx, mayPath, wanted, ""); err != nil {
		return err
	}
	d.tell("a consumer with skr", "its page shows \""+wanted+"\"")
	if err := d.await(ctx, mayNotPath, withoutKey, text); err != nil {
		return err
	}
	d.tell("a consumer without", `its page shows ciphertext: "This message cannot be decrypted: this pod has no key"`)
	if d.once {
		return errShown
	}
	_, _ = fmt.Fprintf(d.out, "\nOpen http://%s in a browser: both consumers, side by side. Ctrl-C ends it all.\n", d.listen)
	return nil
}

const (
	wanted     = "Msg 1: " + text
	withoutKey = "This message cannot be decrypted: <span>this pod has no key: no sidecar answers at"
)

// await reads a page until it shows the words, and not the others.
func (d demo) await(ctx context.Context, path, words, never string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		shown, err := d.read(ctx, path)
		if never != "" && strings.Contains(shown, never) {
			return fmt.Errorf("%s shows %q, which it must not", path, never)
		}
		if strings.Contains(shown, words) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not show %q: %w", path, words, errors.Join(err, ctx.Err()))
		case <-time.After(pollEvery):
		}
	}
}

func (d demo) read(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.page.Addr().String()+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	page, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return string(page), err
}

// tell prints what runs; a demonstration to nobody does no harm.
func (d demo) tell(what, where string) { _, _ = fmt.Fprintf(d.out, "%-22s %s\n", what, where) }

// freeAddress is a loopback port that was free a moment ago.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }() // nothing was sent
	return listener.Addr().String(), nil
}
