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

// demo runs the demonstration and prints what runs.
type demo struct {
	page        net.Listener
	out         io.Writer
	log         *slog.Logger
	bin, listen string
	once        bool
}

// play runs until ctx ends or, with once, until the pages show the expected
// messages.
func (d demo) play(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", d.listen) // first, because the rest is useless without it
	if err != nil {
		return fmt.Errorf("%w (is the demonstration already running? --listen ADDRESS selects another address)", err)
	}
	defer func() { _ = listener.Close() }() // the server closes it
	d.page = listener
	dir, err := os.MkdirTemp("", "skr-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // leftovers in /tmp are harmless
	if d.bin, err = filepath.Abs(d.bin); err != nil {
		return err
	}
	cloud, err := emulated.In(d.bin).Start(ctx, emulated.Pod{Dir: dir})
	if err != nil {
		return fmt.Errorf("%w (build it with make build)", err)
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
	d.tell("a key", keyName+", released to the skr of the pod with HOST_DATA "+measurement)
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	stop, err := cloud.Sidecar(ctx, address, io.Discard, cloud.Keeping(keyName)...)
	if err != nil {
		return err
	}
	defer stop()
	d.tell("skr", address+", which decrypts and never gives the key out (ops: [decrypt])")
	return d.playMessages(ctx, address, map[string]string{
		"TOPIC": topic, "BROKERS": brokers, "MSG": text, "PUBKEY": public, "SkrClientAlias": keyName,
	})
}

// errShown ends the demonstration: the pages show the expected messages.
var errShown = errors.New("shown")

// playMessages runs the producer and two consumers: one beside skr, and one
// without it, as in an ordinary pod, which the AKS article suggests to try.
func (d demo) playMessages(ctx context.Context, skr string, settings map[string]string) error {
	var free [3]string
	for i := range free {
		var err error
		if free[i], err = freeAddress(ctx); err != nil {
			return err
		}
	}
	may, mayNot, unused := free[0], free[1], free[2]
	group, ctx := errgroup.WithContext(ctx)
	start := func(name string, program pod.Program, more map[string]string) {
		all := maps.Clone(settings)
		maps.Copy(all, more)
		getenv := func(name string) string { return all[name] }
		group.Go(func() error { return program(ctx, environment.New(getenv), d.log.With("program", name)) })
	}
	start("produce", producer.Run, nil)
	start("consume", consumer.Run, map[string]string{"LISTEN": may, "SkrClientURL": "http://" + skr})
	start("consume without skr", consumer.Run, map[string]string{"LISTEN": mayNot, "SkrClientURL": "http://" + unused})
	group.Go(func() error { return serveSide(ctx, d.page, may, mayNot) })
	group.Go(func() error { return d.watch(ctx) })
	if err := group.Wait(); !errors.Is(err, errShown) {
		return err
	}
	return nil
}

// watch prints what the pages show.
func (d demo) watch(ctx context.Context) error {
	if err := d.await(ctx, mayPath, wanted, ""); err != nil {
		return err
	}
	d.tell("a consumer with skr", "its page shows \""+wanted+"\", which skr decrypts: the consumer never has the key")
	if err := d.await(ctx, mayNotPath, withoutKey, text); err != nil {
		return err
	}
	d.tell("a consumer without", `its page shows ciphertext: "This message cannot be decrypted: this pod has no key"`)
	if d.once {
		return errShown
	}
	_, _ = fmt.Fprintf(d.out, "\nOpen http://%s in a browser: it shows both consumers side by side. Press Ctrl-C to stop.\n", d.listen)
	return nil
}

const (
	wanted     = "Msg 1: " + text
	withoutKey = "This message cannot be decrypted: <span>this pod has no key: no sidecar answers at"
)

// await reads a page until it contains words. It fails if the page contains
// never.
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
	defer func() { _ = response.Body.Close() }() // the body has been read
	page, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return string(page), err
}

// tell prints what runs. Output errors do not matter.
func (d demo) tell(what, where string) { _, _ = fmt.Fprintf(d.out, "%-22s %s\n", what, where) }

// freeAddress returns a loopback address whose port was free a moment ago.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }() // nothing to flush
	return listener.Addr().String(), nil
}
