package store

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"math"
	"math/big"

	"entgo.io/ent/schema/field"
)

// cell is where a value of one column is read into, whichever database it comes
// from.
type cell interface {
	into() any               // for Scan
	value() any              // for an insert; nil for NULL
	add(sum hash.Hash) error // the value in a form that is the same on either database
}

// newCell returns the cell of a column's type.
func newCell(t field.Type) cell {
	switch t {
	case field.TypeBool:
		return &boolCell{}
	case field.TypeTime:
		return &timeCell{}
	case field.TypeFloat32, field.TypeFloat64:
		return &floatCell{}
	case field.TypeJSON:
		return &jsonCell{}
	case field.TypeBytes:
		return &bytesCell{}
	case field.TypeString, field.TypeEnum, field.TypeUUID, field.TypeOther, field.TypeInvalid:
		return &textCell{}
	default:
		return &intCell{}
	}
}

// part adds one value to a sum, with its length before it; present is false for NULL.
func part(sum hash.Hash, present bool, value []byte) error {
	head := []byte{0}
	if present {
		head = binary.AppendUvarint([]byte{1}, uint64(len(value)))
	}
	if _, err := sum.Write(head); err != nil || !present {
		return err
	}
	_, err := sum.Write(value)
	return err
}

func number(sum hash.Hash, present bool, n uint64) error {
	return part(sum, present, binary.BigEndian.AppendUint64(nil, n))
}

type boolCell struct{ v sql.NullBool }

func (c *boolCell) into() any  { return &c.v }
func (c *boolCell) value() any { return valueOf(c.v.Valid, c.v.Bool) }
func (c *boolCell) add(sum hash.Hash) error {
	n := uint64(0)
	if c.v.Bool {
		n = 1
	}
	return number(sum, c.v.Valid, n)
}

type intCell struct{ v sql.NullInt64 }

func (c *intCell) into() any               { return &c.v }
func (c *intCell) value() any              { return valueOf(c.v.Valid, c.v.Int64) }
func (c *intCell) add(sum hash.Hash) error { return number(sum, c.v.Valid, uint64(c.v.Int64)) }

type floatCell struct{ v sql.NullFloat64 }

func (c *floatCell) into() any  { return &c.v }
func (c *floatCell) value() any { return valueOf(c.v.Valid, c.v.Float64) }
func (c *floatCell) add(sum hash.Hash) error {
	return number(sum, c.v.Valid, math.Float64bits(c.v.Float64+0)) // -0 is 0
}

// timeCell holds an instant, to the microsecond that both databases keep.
type timeCell struct{ v sql.NullTime }

func (c *timeCell) into() any  { return &c.v }
func (c *timeCell) value() any { return valueOf(c.v.Valid, c.v.Time.UTC()) }
func (c *timeCell) add(sum hash.Hash) error {
	return number(sum, c.v.Valid, uint64(c.v.Time.UnixMicro()))
}

type textCell struct{ v sql.NullString }

func (c *textCell) into() any               { return &c.v }
func (c *textCell) value() any              { return valueOf(c.v.Valid, c.v.String) }
func (c *textCell) add(sum hash.Hash) error { return part(sum, c.v.Valid, []byte(c.v.String)) }

type bytesCell struct{ v []byte }

func (c *bytesCell) into() any { return &c.v }
func (c *bytesCell) value() any {
	return valueOf(c.v != nil, c.v)
}
func (c *bytesCell) add(sum hash.Hash) error { return part(sum, c.v != nil, c.v) }

// jsonCell holds a JSON text; PostgreSQL writes it in a form of its own.
type jsonCell struct{ v []byte }

func (c *jsonCell) into() any  { return &c.v }
func (c *jsonCell) value() any { return valueOf(c.v != nil, string(c.v)) }
func (c *jsonCell) add(sum hash.Hash) error {
	if c.v == nil {
		return part(sum, false, nil)
	}
	d := json.NewDecoder(bytes.NewReader(c.v))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return fmt.Errorf("a value is no JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("a value is more than one JSON text")
	}
	text, err := json.Marshal(canonical(v))
	if err != nil {
		return err
	}
	return part(sum, true, text)
}

// canonical writes numbers in one way; maps are sorted by Marshal.
func canonical(v any) any {
	switch v := v.(type) {
	case json.Number:
		if r, ok := new(big.Rat).SetString(string(v)); ok {
			return r.RatString()
		}
		return string(v)
	case map[string]any:
		for k, inner := range v {
			v[k] = canonical(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = canonical(inner)
		}
	}
	return v
}

func valueOf[T any](present bool, v T) any {
	if !present {
		return nil
	}
	return v
}
