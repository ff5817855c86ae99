package problem

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"

	"github.com/openspms/spms/internal/fault"
)

// checks is the one validator of the door; it caches what it learns of a
// struct and is safe for concurrent use.
var checks = newChecks()

func newChecks() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			return ""
		}
		return name
	})
	return v
}

// Validate checks a mutation's input, a struct or a pointer to one, against
// its `validate:` tags. The result is nil, or one invalid fault INPUT_INVALID
// whose items are the wrong fields, each with its own code and the path as the
// client wrote it: input, qualifications, 0, validTo.
func Validate(ctx context.Context, input any) error {
	err := checks.StructCtx(ctx, input)
	if err == nil {
		return nil
	}
	wrong, ok := errors.AsType[validator.ValidationErrors](err)
	if !ok {
		return fault.E(fault.Internal, "INTERNAL").Because(fmt.Errorf("validate %T: %w", input, err))
	}
	items := make([]*fault.Error, 0, len(wrong))
	for _, w := range wrong {
		path := inputPath(input, w.Namespace())
		items = append(items, fieldFault(w, fault.P("field", join(path))).At(path...))
	}
	return fault.E(fault.Invalid, "INPUT_INVALID", fault.P("count", len(items))).At("input").With(items...)
}

// inputPath turns CreateStaffInput.qualifications[0].validTo into the path
// input, qualifications, 0, validTo.
func inputPath(input any, namespace string) []string {
	inner := strings.TrimPrefix(namespace, reflect.Indirect(reflect.ValueOf(input)).Type().Name()+".")
	path := []string{"input"}
	for _, part := range strings.Split(inner, ".") {
		name, indices, _ := strings.Cut(part, "[")
		path = append(path, name)
		for _, i := range strings.Split(strings.TrimSuffix(indices, "]"), "][") {
			if i != "" {
				path = append(path, i)
			}
		}
	}
	return path
}

// fieldFault says which rule a field broke. Bounds mean the length of a text
// in characters, the number of a list's items or the value of a number,
// whichever the field is.
func fieldFault(w validator.FieldError, field fault.Param) *fault.Error {
	limit := fault.P("limit", w.Param())
	switch tag := w.Tag(); {
	case strings.HasPrefix(tag, "required"), tag == "notblank":
		return fault.E(fault.Invalid, "FIELD_REQUIRED", field)
	case tag == "max" || tag == "lte" || tag == "lt":
		return bound(w.Kind(), "FIELD_TOO_LONG", "FIELD_TOO_MANY", "FIELD_TOO_LARGE", field, limit)
	case tag == "min" || tag == "gte" || tag == "gt":
		return bound(w.Kind(), "FIELD_TOO_SHORT", "FIELD_TOO_FEW", "FIELD_TOO_SMALL", field, limit)
	case tag == "len":
		return fault.E(fault.Invalid, "FIELD_WRONG_LENGTH", field, limit)
	case strings.HasPrefix(tag, "oneof"):
		return fault.E(fault.Invalid, "FIELD_NOT_ONE_OF", field, fault.P("allowed", strings.Fields(w.Param())))
	case tag == "unique":
		return fault.E(fault.Invalid, "FIELD_NOT_UNIQUE", field)
	case tag == "gtfield" || tag == "gtefield":
		return fault.E(fault.Invalid, "FIELD_NOT_AFTER", field, fault.P("other", w.Param()))
	case tag == "ltfield" || tag == "ltefield":
		return fault.E(fault.Invalid, "FIELD_NOT_BEFORE", field, fault.P("other", w.Param()))
	default:
		return fault.E(fault.Invalid, "FIELD_INVALID", field, fault.P("rule", tag))
	}
}

// bound picks the code that fits what the bound counts.
func bound(k reflect.Kind, text, list, number string, params ...fault.Param) *fault.Error {
	switch k {
	case reflect.String:
		return fault.E(fault.Invalid, text, params...)
	case reflect.Slice, reflect.Array, reflect.Map:
		return fault.E(fault.Invalid, list, params...)
	default:
		return fault.E(fault.Invalid, number, params...)
	}
}

// join writes a path the way people read it: input.qualifications[0].validTo.
func join(path []string) string {
	var b strings.Builder
	for i, p := range path {
		switch {
		case p != "" && p[0] >= '0' && p[0] <= '9':
			fmt.Fprintf(&b, "[%s]", p)
		case i > 0:
			b.WriteString("." + p)
		default:
			b.WriteString(p)
		}
	}
	return b.String()
}
