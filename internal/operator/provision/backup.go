package provision

import (
	"context"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// MaxBackup bounds a backup in bytes. In recordings, one version has 7 KB in a Key Vault and 17 KB in
// a Managed HSM; a key may have hundreds of versions.
const MaxBackup = 32 << 20

// Backup returns a key with all its versions, encrypted by the vault. It has the errors of
// [Vault.Make].
func (v *Vault) Backup(ctx context.Context, name string) ([]byte, error) {
	answer, err := v.reader.BackupKey(ctx, name, nil)
	if err != nil {
		return nil, v.refused(action{backingUp, name, ""}, err)
	}
	if len(answer.Value) == 0 || len(answer.Value) > MaxBackup {
		return nil, unusable(errors.New("the backup is empty or too large"))
	}
	return answer.Value, nil
}

// Restore stores the key of a backup, and waits until it can be read. It has the errors of
// [Vault.Make], and [ErrUnwatched] with the key.
func (v *Vault) Restore(ctx context.Context, backup []byte) (*Key, error) {
	answer, err := v.writer.RestoreKey(ctx, azkeys.RestoreKeyParameters{KeyBackup: backup}, nil)
	if err != nil {
		return nil, v.refused(action{restoring, "", restoreAdvice}, err)
	}
	return v.back(ctx, "", answer.KeyBundle, "the restore")
}

const restoreAdvice = "; a backup can be restored in vaults of the same subscription and geography, or in HSMs of the same security domain"
