// Package consumer reads a topic, has skr decrypt it, and shows it on a page. The key stays in
// skr, or is released if the consumer is so configured.
//
// The page, the request for the key, and the reading from Kafka run
// concurrently and do not wait for each other. The page shows what is missing.
package consumer

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"skr/examples/kafka/board"
	"skr/examples/kafka/broker"
	"skr/examples/kafka/environment"
	"skr/examples/kafka/message"
	"skr/examples/kafka/page"
	"skr/examples/kafka/sidecar"
)

const (
	// history is the number of messages to keep and how far back reading
	// begins.
	history       = 100
	defaultListen = ":3333"
	pingEvery     = 5 * time.Second
	pingTimeout   = 5 * time.Second
)

// Consumer consumes one topic.
type Consumer struct {
	listen string
	asker  sidecar.Asker
	kafka  broker.Settings
	board  *board.Board
	wanted chan string // versions of the key that messages name
	log    *slog.Logger
}

// maxVersions limits the versions that are requested. Anyone who may write to
// the topic can name more.
const maxVersions = 8

// Run runs the command /consume; it implements pod.Program.
func Run(ctx context.Context, v *environment.Variables, log *slog.Logger) error {
	c := fromEnvironment(v, log)
	if err := v.Err(); err != nil {
		return err
	}
	return c.run(ctx)
}

func fromEnvironment(v *environment.Variables, log *slog.Logger) Consumer {
	c := Consumer{
		listen: environment.Optional(v, "LISTEN", defaultListen, parseListen),
		asker:  sidecar.FromEnvironment(v, log),
		kafka:  broker.FromEnvironment(v),
		board:  board.New(history),
		wanted: make(chan string, maxVersions),
		log:    log,
	}
	c.asker.Refused = c.board.Refused
	return c
}

func parseListen(text string) (string, error) {
	if _, _, err := net.SplitHostPort(text); err != nil {
		return "", fmt.Errorf("%q is not an address; use, for example, :3333", text)
	}
	return text, nil
}

func (c Consumer) run(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.listen)
	if err != nil {
		return fmt.Errorf("consumer: listening for browsers (LISTEN): %w", err)
	}
	client, err := kgo.NewClient(append(c.kafka.Options(),
		kgo.ConsumeTopics(c.kafka.Topic), // no group: each of several consumers reads every partition
		kgo.ConsumeStartOffset(kgo.NewOffset().AtEnd().Relative(-history)),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd().Relative(-history)))...)
	if err != nil {
		return fmt.Errorf("consumer: setting up the Kafka client: %w", err)
	}
	defer client.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return page.Serve(ctx, listener, c.board, c.about()) })
	group.Go(func() error { return c.decrypt(ctx, group) })
	group.Go(func() error { return c.watch(ctx, client) })
	group.Go(func() error { return c.read(ctx, client) })
	return group.Wait()
}

func (c Consumer) about() page.About {
	if c.asker.Alias != "" {
		return page.About{Topic: c.kafka.Topic, Key: c.asker.Alias + ", in the sidecar"}
	}
	return page.About{
		Topic: c.kafka.Topic, Key: c.asker.Request.KID,
		Vault: c.asker.Request.AKVEndpoint, Authority: c.asker.Request.MAAEndpoint,
	}
}

// decrypt waits for the key, however long that takes, and then for the other
// versions that messages name.
func (c Consumer) decrypt(ctx context.Context, group *errgroup.Group) error {
	key, err := c.asker.Key(ctx)
	if err != nil {
		return err
	}
	c.board.Decrypt(key)
	c.open(ctx, group, c.asker, key)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case version := <-c.wanted:
			if version != key.Version {
				group.Go(func() error { return c.decryptVersion(ctx, group, version) })
			}
		}
	}
}

// decryptVersion waits for another version of the key.
func (c Consumer) decryptVersion(ctx context.Context, group *errgroup.Group, version string) error {
	asker := c.asker.At(version)
	asker.Refused = func(reason, _, _ string) { c.board.RefusedVersion(version, reason) }
	key, err := asker.Key(ctx)
	if err != nil {
		return err
	}
	c.board.DecryptVersion(key)
	c.open(ctx, group, asker, key)
	return nil
}

// open has the sidecar decrypt the messages of a key that stays there, as they arrive.
func (c Consumer) open(ctx context.Context, group *errgroup.Group, asker sidecar.Asker, key message.Key) {
	if key.Private != nil {
		return // the board decrypts
	}
	group.Go(func() error {
		for {
			changed := c.board.Changed()
			pending := c.board.Pending(key, sidecar.Batch)
			if len(pending) == 0 {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-changed:
				}
				continue
			}
			opened, err := asker.Open(ctx, key, pending)
			if err != nil {
				return err
			}
			c.board.Opened(key, opened)
		}
	})
}

// read reads until ctx ends. The board shows a record that cannot be decrypted;
// the client retries a partition that cannot be read.
func (c Consumer) read(ctx context.Context, client *kgo.Client) error {
	asked := map[string]bool{"": true}
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			c.log.Warn("reading", "topic", topic, "partition", partition, "error", err)
		})
		fetches.EachRecord(func(r *kgo.Record) {
			version := versionOf(r)
			c.board.Add(board.Message{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Value: r.Value, Version: version})
			if !asked[version] && len(asked) <= maxVersions {
				asked[version] = true
				c.wanted <- version // there is room for each
			}
		})
	}
}

// versionOf returns the version of the key that a record names; "" if none.
func versionOf(r *kgo.Record) string {
	for _, header := range r.Headers {
		if header.Key != message.VersionHeader {
			continue
		}
		if version, err := message.ParseVersion(string(header.Value)); err == nil {
			return version
		}
	}
	return ""
}

// watch shows on the page, and once in the log, whether a broker answers.
func (c Consumer) watch(ctx context.Context, client *kgo.Client) error {
	ticks := time.NewTicker(pingEvery)
	defer ticks.Stop()
	for last := "-"; ; {
		problem := ping(ctx, client)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if problem != last {
			c.log.Info("kafka", "brokers", c.kafka.Addresses, "problem", problem)
			c.board.Broker(problem)
			last = problem
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks.C:
		}
	}
}

func ping(ctx context.Context, client *kgo.Client) string {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		return err.Error()
	}
	return ""
}
