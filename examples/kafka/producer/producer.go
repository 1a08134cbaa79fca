// Package producer writes encrypted messages to a topic, as in the AKS
// documentation: "Msg 1: " and the text, then "Msg 2: " and the text, and so
// on.
package producer

import (
	"context"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"skr/examples/kafka/broker"
	"skr/examples/kafka/environment"
	"skr/examples/kafka/message"
)

const (
	defaultInterval = time.Second
	delivery        = 30 * time.Second // deadline for one message
	maxNumber       = len("Msg 18446744073709551615: ")
)

// Producer produces messages with one text.
type Producer struct {
	key      *rsa.PublicKey
	version  string // of the key; "" if unknown
	text     string
	interval time.Duration
	kafka    broker.Settings
	log      *slog.Logger
}

// Run runs the command /produce; it implements pod.Program.
func Run(ctx context.Context, v *environment.Variables, log *slog.Logger) error {
	p := fromEnvironment(v, log)
	if err := v.Err(); err != nil {
		return err
	}
	return p.run(ctx)
}

func fromEnvironment(v *environment.Variables, log *slog.Logger) Producer {
	p := Producer{
		key:      environment.Required(v, "PUBKEY", "the content of NAME-pub.pem, which setup-key.sh wrote", message.ParsePublicKey),
		version:  environment.Optional(v, "PUBKEY_VERSION", "", message.ParseVersion),
		text:     environment.Required(v, "MSG", "the text to encrypt", environment.Text),
		interval: environment.Optional(v, "INTERVAL", defaultInterval, parseInterval),
		kafka:    broker.FromEnvironment(v),
		log:      log,
	}
	if p.key == nil {
		return p
	}
	if limit := message.MaxPlain(p.key); len(p.text)+maxNumber > limit {
		v.Wrong("MSG", fmt.Sprintf("has %d bytes; RSA-%d with OAEP-SHA256 encrypts at most %d, and the message number takes up to %d; use at most %d",
			len(p.text), p.key.N.BitLen(), limit, maxNumber, limit-maxNumber))
	}
	return p
}

func parseInterval(text string) (time.Duration, error) {
	interval, err := time.ParseDuration(text)
	if err != nil || interval < time.Millisecond {
		return 0, fmt.Errorf("%q is not a duration of at least a millisecond; use, for example, 1s", text)
	}
	return interval, nil
}

func (p Producer) run(ctx context.Context) error {
	client, err := kgo.NewClient(append(p.kafka.Options(),
		kgo.DefaultProduceTopic(p.kafka.Topic),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), // all partitions, in turn
		kgo.UnknownTopicRetries(-1),                        // the topic may be created later
		kgo.RecordDeliveryTimeout(delivery))...)
	if err != nil {
		return fmt.Errorf("producer: setting up the Kafka client: %w", err)
	}
	defer client.Close()
	ticks := time.NewTicker(p.interval)
	defer ticks.Stop()
	for number := uint64(1); ; number++ {
		if err := p.send(ctx, client, number); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// send retries the same message until Kafka has it.
func (p Producer) send(ctx context.Context, client *kgo.Client, number uint64) error {
	sealed, err := message.Encrypt(p.key, fmt.Sprintf("Msg %d: %s", number, p.text))
	if err != nil {
		return fmt.Errorf("producer: %w", err)
	}
	for ctx.Err() == nil {
		record, err := client.ProduceSync(ctx, p.record(sealed)).First()
		if err == nil {
			p.log.Info("sent", "number", number, "partition", record.Partition, "offset", record.Offset)
			return nil
		}
		if ctx.Err() == nil {
			p.log.Warn("not sent; retrying", "number", number, "error", err)
		}
	}
	return nil
}

// record returns a record with the version of the key, if it is known.
func (p Producer) record(sealed string) *kgo.Record {
	record := kgo.StringRecord(sealed)
	if p.version != "" {
		record.Headers = []kgo.RecordHeader{{Key: message.VersionHeader, Value: []byte(p.version)}}
	}
	return record
}
