package conformance

import (
	"errors"
	"net/http"
	"slices"
	"time"
)

// deletedShape is the shape of a deleted key.
const deletedShape = "recoveryId:string deletedDate:int scheduledPurgeDate:int " +
	"key.kid:string key.kty:string attributes.enabled:bool attributes.recoveryLevel:string"

// lifeChecks back up, delete, recover, purge and restore keys. The order matters.
func lifeChecks(s *session) []check {
	gone := refused(http.StatusNotFound, "KeyNotFound")
	get := request{method: http.MethodGet, path: keyPath, api: stable}
	getDeleted := request{method: http.MethodGet, path: deletedPath, api: stable}
	return writing([]check{
		{name: "back up", source: docBackup + "; " + recordedGo, run: backUp},
		{name: "restore over a key that exists", source: recordedGo, run: func(p *probe) error {
			return p.restore(refused(http.StatusConflict, "Conflict"))
		}},
		{name: "restore what is no backup", source: docBackup, run: one(request{method: http.MethodPost, path: "/keys/restore", api: stable,
			body: map[string]string{"value": encode64([]byte("no backup"))}}, refused(http.StatusBadRequest, "BadParameter"))},
		{name: "delete", source: docDeletion + "; " + recordedGo, run: deleteKey},
		{name: "get a deleted key", source: docDeletion, run: onKey("p-384", get, gone)},
		{name: "get it among the deleted keys", source: docDeletion + "; " + recordedGo, run: onKey("p-384", getDeleted,
			want{status: []int{http.StatusOK}, members: deletedShape})},
		{name: "create a key whose name is deleted", source: docDeletion, run: func(p *probe) error {
			_, err := p.ask(s.createRequest("p-384", s.body(kinds(s.managed)[3])), refused(http.StatusConflict, "Conflict"))
			return err
		}},
		{name: "recover", source: docDeletion + "; " + recordedGo, run: recoverKey},
		{name: "purge", source: docDeletion + "; " + recordedGo, run: purgeKey},
		{name: "get a purged key", source: docDeletion, run: onKey("purged", getDeleted, gone)},
		{name: "restore a purged key", source: docBackup + "; " + recordedGo, run: restorePurged},
	})
}

func backUp(p *probe) error {
	k, err := p.key("p-384")
	if err != nil {
		return err
	}
	got, err := p.ask(request{method: http.MethodPost, path: "/keys/{key}/backup", api: stable}.at(k), want{status: []int{http.StatusOK}, members: "value:b64"})
	if err == nil {
		p.s.backup = got.text("value")
	}
	return err
}

func (p *probe) restore(w want) error {
	k, err := p.key("p-384")
	switch {
	case err != nil:
		return err
	case p.s.backup == "":
		return &skip{"the key could not be backed up"}
	}
	_, err = p.ask(request{method: http.MethodPost, path: "/keys/restore", key: k.name, api: stable,
		body: map[string]string{"value": p.s.backup}, creates: slices.Contains(w.status, http.StatusOK)}, w)
	return err
}

func deleteKey(p *probe) error {
	k, err := p.key("p-384")
	if err != nil {
		return err
	}
	r := request{method: http.MethodDelete, path: keyPath, api: stable}
	if _, err := p.ask(r.at(k), want{status: []int{http.StatusOK}, members: deletedShape}); err != nil {
		return err
	}
	return p.await(deletedPath, k, http.StatusOK)
}

func recoverKey(p *probe) error {
	k, err := p.key("p-384")
	if err != nil {
		return err
	}
	r := request{method: http.MethodPost, path: deletedPath + "/recover", api: stable, creates: true}
	if _, err := p.ask(r.at(k), want{status: []int{http.StatusOK}, members: bundleShape}); err != nil {
		return err
	}
	return p.await(keyPath, k, http.StatusOK)
}

// purgeKey deletes the key again and purges it.
func purgeKey(p *probe) error {
	if err := deleteKey(p); err != nil {
		return err
	}
	k, err := p.key("p-384")
	if err != nil {
		return err
	}
	r := request{method: http.MethodDelete, path: deletedPath, api: stable}.at(k)
	got, err := p.ask(r, want{status: []int{http.StatusNoContent}, empty: true})
	if err != nil {
		if got != nil && got.status == http.StatusForbidden {
			return &skip{"the vault has purge protection, or the caller may not purge"}
		}
		return err
	}
	p.s.keys["purged"] = k
	return p.await(deletedPath, k, http.StatusNotFound)
}

func restorePurged(p *probe) error {
	if _, err := p.key("purged"); err != nil {
		return err
	}
	for waited := time.Duration(0); ; waited += cleaningStep {
		err := p.restore(want{status: []int{http.StatusOK}, members: bundleShape})
		busy := len(p.exchanges) > 0 && p.exchanges[len(p.exchanges)-1].Status == http.StatusConflict
		if !busy || waited > settleTime {
			return err
		}
		if err := p.s.pause(p.ctx, cleaningStep); err != nil { // the purge is not complete
			return err
		}
	}
}

// settleTime is how long Azure may take for a deletion, a recovery or a purge.
const settleTime = 2 * time.Minute

// await waits until a key has a status.
func (p *probe) await(path string, k *madeKey, status int) error {
	for waited := time.Duration(0); ; waited += cleaningStep {
		got, err := p.send(request{method: http.MethodGet, path: path, api: stable}.at(k))
		if err != nil || got.status == status {
			return err
		}
		p.exchanges = p.exchanges[:len(p.exchanges)-1] // only the last answer counts
		if waited > settleTime {
			return errors.New("the vault has not finished the change in two minutes")
		}
		if err := p.s.pause(p.ctx, cleaningStep); err != nil {
			return err
		}
	}
}
