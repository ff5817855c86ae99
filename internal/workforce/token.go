package workforce

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/openspms/spms/ent/apitoken"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// tokenPrefix marks a secret as one of ours, so that leaks can be searched for.
const tokenPrefix = "spms_"

// NewToken is the answer of CreateToken. The secret is shown once and kept
// nowhere: a repeated idempotency key answers with TokenID and no Secret.
type NewToken struct {
	TokenID string
	Secret  string `json:"-"`
}

// CreateToken makes a token that lets its bearer act as a person: 256 random
// bits of which only the SHA-256 hash is stored. Nobody makes a token of a person
// who may do more than he may himself. Errors: STAFF_NOT_FOUND, STAFF_INACTIVE,
// TOKEN_EXCEEDS_OWN, TOKEN_EXPIRY_PAST.
func (r *Room) CreateToken(ctx context.Context, in CreateToken) (NewToken, error) {
	secret := newSecret()
	made := ""
	cmd := command.Command{Operation: "createToken", Key: deref(in.IdempotencyKey), Input: in}
	out, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (NewToken, error) {
		person, err := staffOf(ctx, u, in.StaffID)
		if err != nil {
			return NewToken{}, err
		}
		u.On(person.ID, person.RegionPath)
		if err := u.Require(access.KeepTokens, person.RegionPath); err != nil {
			return NewToken{}, err
		}
		if !person.Active {
			return NewToken{}, fault.E(fault.Precondition, "STAFF_INACTIVE", fault.P("code", person.Code)).At("input", "staffID")
		}
		if err := withinOwn(ctx, u, person.ID, "TOKEN_EXCEEDS_OWN"); err != nil {
			return NewToken{}, err
		}
		c := u.APIToken.Create().SetStaffID(person.ID).SetLabel(in.Label).SetHash(hashOf(secret)).
			SetRegionID(person.RegionID).SetRegionPath(person.RegionPath).SetCreatedAt(u.Now)
		if in.ExpiresAt != nil {
			at := instant(in.ExpiresAt, u.Now)
			if !at.After(u.Now) {
				return NewToken{}, fault.E(fault.Invalid, "TOKEN_EXPIRY_PAST", fault.P("at", at)).At("input", "expiresAt")
			}
			c.SetExpiresAt(at)
		}
		row, err := c.Save(ctx)
		if err != nil {
			return NewToken{}, fmt.Errorf("create the token: %w", err)
		}
		made = row.ID
		u.Note("token", row.ID)
		return NewToken{TokenID: row.ID}, nil
	})
	if err == nil && made == out.TokenID { // else it is an earlier answer, whose secret nobody has any more
		out.Secret = secret
	}
	return out, err
}

// RevokeToken ends a token at once; everyone may end his own. It returns the
// token's id. Errors: TOKEN_NOT_FOUND, TOKEN_REVOKED.
func (r *Room) RevokeToken(ctx context.Context, in RevokeToken) (string, error) {
	cmd := command.Command{Operation: "revokeToken", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		row, err := u.APIToken.Query().Where(apitoken.ID(in.TokenID)).Only(store.Locking(ctx))
		if err != nil {
			return "", notFound(err, "TOKEN_NOT_FOUND", in.TokenID, "tokenID")
		}
		u.On(row.StaffID, row.RegionPath)
		if row.StaffID != u.Viewer.StaffID {
			if err := u.Require(access.KeepTokens, row.RegionPath); err != nil {
				return "", err
			}
		}
		if row.RevokedAt != nil {
			return "", fault.E(fault.Precondition, "TOKEN_REVOKED", fault.P("at", *row.RevokedAt)).At("input", "tokenID")
		}
		if err := u.APIToken.UpdateOne(row).SetRevokedAt(u.Now).Exec(ctx); err != nil {
			return "", fmt.Errorf("end the token: %w", err)
		}
		u.Note("token", row.ID)
		r.changed(u, row.StaffID, row.RegionPath)
		return row.ID, nil
	})
}

func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: it stops the program where there is no source of chance
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// hashOf returns what is stored of a secret. A slow hash would add nothing: 256
// random bits cannot be tried out.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
