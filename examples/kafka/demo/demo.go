package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	out         io.Writer
	log         *slog.Logger
	bin, listen string
	once        bool
}

// play until ctx ends or, with once, the page shows the first message.
func (d demo) play(ctx context.Context) error {
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
	return d.playMessages(ctx, map[string]string{
		"TOPIC": topic, "BROKERS": brokers, "MSG": text, "PUBKEY": public, "LISTEN": d.listen,
		"SkrClientURL": "http://" + address, "SkrClientKID": keyName,
		"SkrClientMAAEndpoint": cloud.Authority(), "SkrClientAKVEndpoint": cloud.Vault(),
	})
}

// errShown ends everything: the page shows what it should.
var errShown = errors.New("shown")

func (d demo) playMessages(ctx context.Context, settings map[string]string) error {
	getenv := func(name string) string { return settings[name] }
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return producer.Run(ctx, environment.New(getenv), d.log.With("program", "produce")) })
	group.Go(func() error { return consumer.Run(ctx, environment.New(getenv), d.log.With("program", "consume")) })
	group.Go(func() error {
		if err := d.await(ctx); err != nil {
			return err
		}
		d.tell("producer and consumer", "the page shows \""+wanted+"\"")
		if d.once {
			return errShown
		}
		_, _ = fmt.Fprintf(d.out, "\nOpen http://%s in a browser. Ctrl-C ends it all.\n", d.listen)
		return nil
	})
	if err := group.Wait(); !errors.Is(err, errShown) {
		return err
	}
	return nil
}

const wanted = "Msg 1: " + text

// await reads the page until it shows the first message, decrypted.
func (d demo) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		last := d.read(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the page does not show %q: %w (%w)", wanted, last, ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}

func (d demo) read(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.listen+"/", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	page, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if !strings.Contains(string(page), wanted) {
		return fmt.Errorf("it has %d bytes without it", len(page))
	}
	return nil
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
