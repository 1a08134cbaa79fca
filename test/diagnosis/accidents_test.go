package diagnosis

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skr/test/emulator/fault"
)

// accident is something that goes wrong while keys and policies change, as docs/reference/causes.md lists it.
type accident struct {
	name string
	said string // what skr or skrctl says then
	do   string // what to do, in the words of the document
	// happens makes it happen, checks that it hurts, and returns what was said.
	happens func(*testing.T, *office) string
	// mend does what the document says, and checks that it helps.
	mend func(*testing.T, *office)
}

var accidents = []accident{
	{
		name: "the old version is retired before the new one is deployed",
		said: "not met is: x-ms-sevsnpvm-hostdata equals",
		do:   "allow the old measurement again with `skrctl key policy allow`; pods get the key at once",
		happens: func(t *testing.T, o *office) string {
			o.create(t, "orders", o.one)
			o.do(t, 0, "key", "policy", "allow", "orders", "--measurement", o.two, "--yes")
			o.do(t, 0, "key", "policy", "retire", "orders", "--measurement", o.one, "--yes")
			return o.pod(t, 3, 1, "orders")
		},
		mend: func(t *testing.T, o *office) {
			o.do(t, 0, "key", "policy", "allow", "orders", "--measurement", o.one, "--yes")
			o.pod(t, 0, 1, "orders")
			o.pod(t, 0, 2, "orders")
		},
	},
	{
		name: "the new version is allowed on the wrong key",
		said: "belongs to no manifest: a candidate for retirement",
		do:   "`skrctl rollout status INVENTORY` shows what each key lacks and what it allows too much; `skrctl rollout apply --retire` puts both right",
		happens: func(t *testing.T, o *office) string {
			o.create(t, "orders", o.one)
			o.create(t, "bills", o.one)
			o.do(t, 0, "key", "policy", "allow", "bills", "--measurement", o.two, "--yes")
			o.pod(t, 3, 2, "orders")
			o.inventory(t, "{name: orders, measurements: ["+o.one+", "+o.two+"]}", "{name: bills, measurements: ["+o.one+"]}")
			return o.do(t, 3, "rollout", "status", o.file("keys.yaml"))
		},
		mend: func(t *testing.T, o *office) {
			o.do(t, 0, "rollout", "apply", o.file("keys.yaml"), "--retire", "--yes")
			o.do(t, 0, "rollout", "status", o.file("keys.yaml"))
			o.pod(t, 0, 2, "orders")
			o.pod(t, 3, 2, "bills")
		},
	},
	{
		name: "two operators change a policy at once",
		said: "nothing was written",
		do:   "the second change is refused, and the first one stays; run the command again, which reads the policy of the first",
		happens: func(t *testing.T, o *office) string {
			o.create(t, "orders", o.one)
			second := o.begin(t, "key", "policy", "allow", "orders", "--measurement", strings.Repeat("22", 32))
			o.do(t, 0, "key", "policy", "allow", "orders", "--measurement", o.two, "--yes")
			return second(3)
		},
		mend: func(t *testing.T, o *office) {
			o.pod(t, 0, 2, "orders")
			o.do(t, 0, "key", "policy", "allow", "orders", "--measurement", strings.Repeat("22", 32), "--yes")
			for _, measurement := range []string{o.one, o.two, strings.Repeat("22", 32)} {
				if shown := o.do(t, 0, "key", "policy", "show", "orders"); !strings.Contains(shown, measurement) {
					t.Errorf("the policy lacks %s:\n%s", measurement, shown)
				}
			}
		},
	},
	{
		name: "a pipeline dies half-way and runs again",
		said: "nothing to do",
		do:   "run the pipeline again: it changes what is left, and then says that there is nothing to do",
		happens: func(t *testing.T, o *office) string {
			o.create(t, "bills", o.one)
			o.create(t, "orders", o.one)
			o.inventory(t, "{name: bills, measurements: ["+o.one+", "+o.two+"]}", "{name: orders, measurements: ["+o.one+", "+o.two+"]}")
			o.dies(t, "orders", "rollout", "apply", o.file("keys.yaml"), "--yes")
			o.pod(t, 0, 2, "bills")
			o.pod(t, 3, 2, "orders")
			again := o.do(t, 0, "rollout", "apply", o.file("keys.yaml"), "--yes")
			if !strings.Contains(again, "/keys/orders/") || strings.Contains(again, "changed https://"+o.vault+"/keys/bills/") {
				t.Errorf("the second run says\n%s", again)
			}
			return o.do(t, 0, "rollout", "apply", o.file("keys.yaml"), "--yes")
		},
		mend: func(t *testing.T, o *office) { o.pod(t, 0, 2, "orders") },
	},
	{
		name: "a version has expired",
		said: "the vault releases a key that expired at",
		do:   "nothing stops: the vault still releases it, and skr warns; `skrctl key rotate`, or set another time with `skrctl key expire --at`",
		happens: func(t *testing.T, o *office) string {
			o.create(t, "orders", o.one)
			o.do(t, 0, "key", "expire", "orders", "--at", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
			return o.pod(t, 0, 1, "orders")
		},
		mend: func(t *testing.T, o *office) {
			o.rotate(t, "orders")
			if said := o.pod(t, 0, 1, "orders"); strings.Contains(said, "expired") {
				t.Errorf("after the rotation: %s", said)
			}
		},
	},
	{
		name: "the newest version is disabled",
		said: "the key is disabled",
		do:   "enable it with `skrctl key enable`; until then, requests can name an older version, if `versions` of the alias gives it",
		happens: func(t *testing.T, o *office) string {
			first := o.create(t, "orders", o.one)
			o.rotate(t, "orders")
			o.do(t, 0, "key", "disable", "orders", "--yes")
			o.pod(t, 0, 1, "orders/"+first)
			return o.pod(t, 3, 1, "orders")
		},
		mend: func(t *testing.T, o *office) {
			o.do(t, 0, "key", "enable", "orders")
			o.pod(t, 0, 1, "orders")
		},
	},
	{
		name: "a key is deleted, and its recovery time is not over",
		said: "the vault has no key",
		do:   "`skrctl key recover` brings back the key with all its versions and policies",
		happens: func(t *testing.T, o *office) string {
			o.first = o.create(t, "orders", o.one)
			o.rotate(t, "orders")
			o.do(t, 0, "key", "delete", "orders", "--yes")
			return o.pod(t, 3, 1, "orders")
		},
		mend: func(t *testing.T, o *office) {
			o.do(t, 0, "key", "recover", "orders")
			o.pod(t, 0, 1, "orders")
			o.pod(t, 0, 1, "orders/"+o.first)
		},
	},
	{
		name: "a key is deleted in a vault with purge protection, and its name is needed",
		said: "purge protection",
		do:   "it cannot be purged: recover it with `skrctl key recover` and rotate it, or use another name until the printed date",
		happens: func(t *testing.T, o *office) string {
			o.vault = o.protected
			o.create(t, "orders", o.one)
			o.do(t, 0, "key", "delete", "orders", "--yes")
			return o.do(t, 3, "key", "purge", "orders", "--yes")
		},
		mend: func(t *testing.T, o *office) {
			o.do(t, 0, "key", "recover", "orders")
			o.rotate(t, "orders")
			o.pod(t, 0, 1, "orders")
		},
	},
	{
		name: "a policy became immutable",
		said: "is immutable",
		do:   "create a key with another name and deploy pods that name it; keep the old key for old data, in the pods that it allows",
		happens: func(t *testing.T, o *office) string {
			o.create(t, "orders", o.one, "--immutable")
			return o.do(t, 3, "key", "policy", "allow", "orders", "--measurement", o.two, "--yes")
		},
		mend: func(t *testing.T, o *office) {
			o.create(t, "orders-2", o.two)
			o.pod(t, 0, 2, "orders-2")
			o.pod(t, 0, 1, "orders")
		},
	},
	{
		name: "a pod's clock is ahead",
		said: "ahead of the service's",
		do:   "correct the clock of the node; `skr doctor` measures it against the authority's",
		happens: func(t *testing.T, o *office) string {
			o.create(t, "orders", o.one)
			o.fails(t, "maa:clock=-10m")
			return o.doctor(t, 6, 1, "orders")
		},
		mend: func(t *testing.T, o *office) {
			o.cloud.Faults().Clear()
			o.doctor(t, 0, 1, "orders")
		},
	},
	{
		name: "the authority was renamed",
		said: "not met is: iss equals",
		do: "allow the new name with `skrctl key policy allow --authority NEW`, deploy pods that use it, and retire the old name with " +
			"`skrctl key policy retire --authority OLD`",
		happens: func(t *testing.T, o *office) string {
			o.create(t, "orders", o.one)
			o.authority = o.renamed
			return o.pod(t, 3, 1, "orders")
		},
		mend: func(t *testing.T, o *office) {
			o.do(t, 0, "key", "policy", "allow", "orders", "--authority", o.renamed, "--yes")
			o.pod(t, 0, 1, "orders")
			o.do(t, 0, "key", "policy", "retire", "orders", "--authority", o.cloud.AttestationHost(), "--yes")
			o.pod(t, 0, 1, "orders")
		},
	},
	{
		name: "a vault is restored from a backup of the first day",
		said: "not met is: x-ms-sevsnpvm-hostdata equals",
		do: "the backup has the policy and the versions of its day: allow today's pods again with `skrctl rollout apply`; " +
			"versions that are newer than the backup are lost, so back up after each `skrctl key rotate`",
		happens: func(t *testing.T, o *office) string {
			o.first = o.create(t, "orders", o.one)
			o.do(t, 0, "key", "backup", "orders", "--out", o.file("orders.backup"))
			o.do(t, 0, "key", "policy", "allow", "orders", "--measurement", o.two, "--yes")
			second := o.rotate(t, "orders")
			o.pod(t, 0, 2, "orders")
			o.vault = o.other
			o.do(t, 0, "key", "restore", o.file("orders.backup"))
			if lost := o.pod(t, 3, 2, "orders/"+second); !strings.Contains(lost, "the vault has no key") {
				t.Errorf("a version that is newer than the backup: %s", lost)
			}
			return o.pod(t, 3, 2, "orders")
		},
		mend: func(t *testing.T, o *office) {
			o.inventory(t, "{name: orders, measurements: ["+o.one+", "+o.two+"]}")
			o.do(t, 0, "rollout", "apply", o.file("keys.yaml"), "--yes")
			o.pod(t, 0, 2, "orders/"+o.first)
		},
	},
}

// TestAccidents: each accident is told in the documented words, and what the document advises helps.
func TestAccidents(t *testing.T) {
	t.Parallel()
	for _, a := range accidents {
		t.Run(a.name, func(t *testing.T) {
			o := newOffice(t)
			if said := a.happens(t, o); !strings.Contains(said, a.said) {
				t.Errorf("said %q, want %q", said, a.said)
			}
			a.mend(t, o)
		})
	}
	if len(accidents) != 12 {
		t.Errorf("there are %d accidents", len(accidents))
	}
}

// file returns the path of a file of the office.
func (o *office) file(name string) string { return filepath.Join(o.dir, name) }

// fails adds a fault to the cloud.
func (o *office) fails(t *testing.T, text string) {
	t.Helper()
	rule, err := fault.ParseRule(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.cloud.Faults().Add(rule); err != nil {
		t.Fatal(err)
	}
}
