package privacy_test

import (
	"testing"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/privacy"
)

func TestBox(t *testing.T) {
	box := func() *privacy.Box {
		key, err := privacy.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		b, err := privacy.NewBox(key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	mine, other := box(), box()
	sealed, err := mine.Seal("token", []byte("s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := mine.Open("token", sealed); err != nil || string(plain) != "s3cret" {
		t.Errorf("Open(Seal) = %q, %v, want the secret", plain, err)
	}
	if again, _ := mine.Seal("token", []byte("s3cret")); again == sealed {
		t.Error("the same secret is sealed alike twice")
	}
	for name, try := range map[string]func() ([]byte, error){
		"another key":  func() ([]byte, error) { return other.Open("token", sealed) },
		"another name": func() ([]byte, error) { return mine.Open("url", sealed) },
		"changed":      func() ([]byte, error) { return mine.Open("token", "AAAA"+sealed[4:]) },
		"cut off":      func() ([]byte, error) { return mine.Open("token", sealed[:8]) },
		"no base64":    func() ([]byte, error) { return mine.Open("token", "%") },
	} {
		if plain, err := try(); fault.CodeOf(err) != "SECRET_UNREADABLE" {
			t.Errorf("%s: Open() = %q, %v, want SECRET_UNREADABLE", name, plain, err)
		}
	}
	if _, err := privacy.NewBox(make([]byte, 16)); fault.CodeOf(err) != "SECRET_KEY_LENGTH" {
		t.Errorf("NewBox(16 bytes) = %v, want SECRET_KEY_LENGTH", err)
	}
}
