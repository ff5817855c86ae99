package problem_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/fault"
)

type grantInput struct {
	Code    string    `json:"code" validate:"required,oneof=fibre copper"`
	From    time.Time `json:"validFrom"`
	To      time.Time `json:"validTo" validate:"gtfield=From"`
	Remarks *string   `json:"remarks,omitempty" validate:"omitempty,min=2"`
}

type staffInput struct {
	Name           string        `json:"name" validate:"required,max=4"`
	Phone          string        `json:"phone" validate:"omitempty,e164"`
	Age            int           `json:"age" validate:"omitempty,min=18,max=70"`
	Qualifications []*grantInput `json:"qualifications" validate:"max=2,dive"`
	Tags           []string      `json:"tags" validate:"unique,dive,len=2"`
}

func TestValidate(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	short := "x"
	good := func() staffInput {
		return staffInput{Name: "张三", Qualifications: []*grantInput{{Code: "fibre", From: day, To: day.AddDate(1, 0, 0)}}}
	}
	for _, tc := range []struct {
		name   string
		change func(*staffInput)
		want   []string // code and path of each finding
	}{
		{"nothing is wrong", func(*staffInput) {}, nil},
		{"no name", func(s *staffInput) { s.Name = "" }, []string{"FIELD_REQUIRED [input name]"}},
		{"four characters are four, in Chinese too", func(s *staffInput) { s.Name = "欧阳娜娜" }, nil},
		{"a long name", func(s *staffInput) { s.Name = "欧阳娜娜娜" }, []string{"FIELD_TOO_LONG [input name]"}},
		{"too young", func(s *staffInput) { s.Age = 17 }, []string{"FIELD_TOO_SMALL [input age]"}},
		{"too old", func(s *staffInput) { s.Age = 71 }, []string{"FIELD_TOO_LARGE [input age]"}},
		{"a rule of another kind", func(s *staffInput) { s.Phone = "call me" }, []string{"FIELD_INVALID [input phone]"}},
		{"too many", func(s *staffInput) { s.Qualifications = append(s.Qualifications, nil, nil) }, []string{"FIELD_TOO_MANY [input qualifications]"}},
		{"inside a list", func(s *staffInput) {
			s.Qualifications = append(s.Qualifications, &grantInput{Code: "glass", From: day, To: day, Remarks: &short})
		}, []string{"FIELD_NOT_ONE_OF [input qualifications 1 code]", "FIELD_NOT_AFTER [input qualifications 1 validTo]", "FIELD_TOO_SHORT [input qualifications 1 remarks]"}},
		{"a repeated item", func(s *staffInput) { s.Tags = []string{"ab", "ab"} }, []string{"FIELD_NOT_UNIQUE [input tags]"}},
		{"an item of the wrong length", func(s *staffInput) { s.Tags = []string{"ab", "abc"} }, []string{"FIELD_WRONG_LENGTH [input tags 1]"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := good()
			tc.change(&in)
			for _, input := range []any{in, &in} {
				err := problem.Validate(t.Context(), input)
				var got []string
				for _, u := range problem.UserErrors(err, fault.EN) {
					got = append(got, fmt.Sprint(u.Code, " ", u.Path))
					if u.Message == u.Code {
						t.Errorf("%s has no text", u.Code)
					}
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("Validate(%T) (-want +got):\n%s", input, diff)
				}
			}
		})
	}
}

func TestUserErrorsLeaveOthersAtTheTop(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err error
		top bool
	}{
		{nil, false},
		{fault.E(fault.Invalid, "FIELD_REQUIRED"), false},
		{fmt.Errorf("claim: %w", fault.E(fault.Conflict, "FIELD_REQUIRED")), false},
		{fault.E(fault.Forbidden, "FIELD_REQUIRED"), true},
		{fault.E(fault.Unauthenticated, "FIELD_REQUIRED"), true},
		{fault.E(fault.Unavailable, "FIELD_REQUIRED"), true},
		{fault.E(fault.Internal, "INTERNAL"), true},
		{errors.New("sql: no rows"), true},
	} {
		list, err := problem.Payload(t.Context(), tc.err)
		if tc.top != (err != nil) || tc.top && list != nil || !tc.top && (tc.err != nil) != (len(list) == 1) {
			t.Errorf("Payload(%v) = %v, %v, want it at the top: %v", tc.err, list, err, tc.top)
		}
	}
}
