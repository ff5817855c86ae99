package workforce

import "time"

// CreateRegion is the input of Room.CreateRegion.
type CreateRegion struct {
	Code           string  `json:"code" validate:"required,max=32"`
	ParentID       *string `json:"parentID,omitempty" validate:"omitempty,max=64"`
	NameZh         string  `json:"nameZh" validate:"required,max=128"`
	NameEn         string  `json:"nameEn" validate:"required,max=128"`
	Level          string  `json:"level" validate:"required,oneof=headquarters province city county"`
	Area           *string `json:"area,omitempty" validate:"omitempty,oneof=any urban rural"`
	Timezone       *string `json:"timezone,omitempty" validate:"omitempty,max=64"`
	CalendarCode   *string `json:"calendarCode,omitempty" validate:"omitempty,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// CreateOrgUnit is the input of Room.CreateOrgUnit.
type CreateOrgUnit struct {
	Code           string  `json:"code" validate:"required,max=64"`
	NameZh         string  `json:"nameZh" validate:"required,max=128"`
	NameEn         *string `json:"nameEn,omitempty" validate:"omitempty,max=128"`
	RegionID       string  `json:"regionID" validate:"required,max=64"`
	ParentID       *string `json:"parentID,omitempty" validate:"omitempty,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// CreateStaff is the input of Room.CreateStaff.
type CreateStaff struct {
	Code           string  `json:"code" validate:"required,max=64"`
	Name           string  `json:"name" validate:"required,max=64"`
	RegionID       string  `json:"regionID" validate:"required,max=64"`
	OrgUnitID      *string `json:"orgUnitID,omitempty" validate:"omitempty,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// UpdateStaff is the input of Room.UpdateStaff; what is absent stays. An empty
// OrgUnitID takes the person out of the unit.
type UpdateStaff struct {
	StaffID        string  `json:"staffID" validate:"required,max=64"`
	Name           *string `json:"name,omitempty" validate:"omitempty,min=1,max=64"`
	OrgUnitID      *string `json:"orgUnitID,omitempty" validate:"omitempty,max=64"`
	Active         *bool   `json:"active,omitempty"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// AssignRole is the input of Room.AssignRole.
type AssignRole struct {
	StaffID        string     `json:"staffID" validate:"required,max=64"`
	Role           string     `json:"role" validate:"required,max=32"`
	RegionID       string     `json:"regionID" validate:"required,max=64"`
	ValidFrom      *time.Time `json:"validFrom,omitempty"` // now when absent
	ValidTo        *time.Time `json:"validTo,omitempty"`   // open when absent
	IdempotencyKey *string    `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// EndRole is the input of Room.EndRole.
type EndRole struct {
	AssignmentID   string     `json:"assignmentID" validate:"required,max=64"`
	At             *time.Time `json:"at,omitempty"` // now when absent
	IdempotencyKey *string    `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// GrantQualification is the input of Room.GrantQualification.
type GrantQualification struct {
	StaffID        string    `json:"staffID" validate:"required,max=64"`
	Kind           string    `json:"kind" validate:"required,max=64"`
	Number         *string   `json:"number,omitempty" validate:"omitempty,max=64"`
	ValidFrom      time.Time `json:"validFrom" validate:"required"`
	ValidTo        time.Time `json:"validTo" validate:"required"`
	IdempotencyKey *string   `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// RevokeQualification is the input of Room.RevokeQualification.
type RevokeQualification struct {
	QualificationID string  `json:"qualificationID" validate:"required,max=64"`
	Reason          string  `json:"reason" validate:"required,max=1000"`
	IdempotencyKey  *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// CreatePool is the input of Room.CreatePool.
type CreatePool struct {
	Code           string  `json:"code" validate:"required,max=64"`
	NameZh         string  `json:"nameZh" validate:"required,max=128"`
	NameEn         *string `json:"nameEn,omitempty" validate:"omitempty,max=128"`
	RegionID       string  `json:"regionID" validate:"required,max=64"`
	Role           string  `json:"role" validate:"required,max=32"`
	Size           int     `json:"size" validate:"gte=0,lte=1000000"`
	CalendarCode   string  `json:"calendarCode" validate:"required,max=64"`
	FinishOver     *bool   `json:"finishOver,omitempty"`
	CostPerHourFen *int    `json:"costPerHourFen,omitempty" validate:"omitempty,gte=0"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// UpdatePool is the input of Room.UpdatePool; what is absent stays.
type UpdatePool struct {
	PoolID         string  `json:"poolID" validate:"required,max=64"`
	NameZh         *string `json:"nameZh,omitempty" validate:"omitempty,min=1,max=128"`
	NameEn         *string `json:"nameEn,omitempty" validate:"omitempty,max=128"`
	Role           *string `json:"role,omitempty" validate:"omitempty,min=1,max=32"`
	Size           *int    `json:"size,omitempty" validate:"omitempty,gte=0,lte=1000000"`
	CalendarCode   *string `json:"calendarCode,omitempty" validate:"omitempty,min=1,max=64"`
	FinishOver     *bool   `json:"finishOver,omitempty"`
	CostPerHourFen *int    `json:"costPerHourFen,omitempty" validate:"omitempty,gte=0"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// PoolSize is a new size of a pool, with the one that it is thought to have.
type PoolSize struct {
	Code string `json:"code"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

// ResizePools is the input of Room.ResizePools. Cause names what the change comes of,
// such as a proposal.
type ResizePools struct {
	Pools          []PoolSize `json:"pools"`
	Reason         string     `json:"reason"`
	Cause          string     `json:"cause"`
	IdempotencyKey *string    `json:"idempotencyKey,omitempty"`
}

// CreateToken is the input of Room.CreateToken.
type CreateToken struct {
	StaffID        string     `json:"staffID" validate:"required,max=64"`
	Label          string     `json:"label" validate:"required,max=128"`
	ExpiresAt      *time.Time `json:"expiresAt,omitempty"` // never when absent
	IdempotencyKey *string    `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// RevokeToken is the input of Room.RevokeToken.
type RevokeToken struct {
	TokenID        string  `json:"tokenID" validate:"required,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// RecordAbsence is the input of Room.RecordAbsence; people are named by id or code.
type RecordAbsence struct {
	StaffID        string     `json:"staffID" validate:"required,max=64"`
	DeputyID       string     `json:"deputyID" validate:"required,max=64"`
	StartsAt       *time.Time `json:"startsAt,omitempty"` // now when absent
	EndsAt         time.Time  `json:"endsAt" validate:"required"`
	Reason         *string    `json:"reason,omitempty" validate:"omitempty,max=2000"`
	IdempotencyKey *string    `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// EndAbsence is the input of Room.EndAbsence.
type EndAbsence struct {
	AbsenceID      string  `json:"absenceID" validate:"required,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}
