// Package sample holds the sample organisation that spms seed loads: regions,
// teams, people, pools and the regions that run the shipped processes. Its main
// type is Organisation. It is data; it knows no database.
package sample

import (
	_ "embed" // the sample file
	"fmt"

	"github.com/goccy/go-yaml"
)

//go:embed sample.yaml
var file []byte

// Organisation is the content of the sample file.
type Organisation struct {
	Format   string    `yaml:"format"`
	Regions  []Region  `yaml:"regions"` // parents first
	Units    []Unit    `yaml:"units"`
	People   []Person  `yaml:"people"`
	Pools    []Pool    `yaml:"pools"`
	Bindings []Binding `yaml:"bindings"`
}

// Region is a region of the tree.
type Region struct {
	Code   string `yaml:"code"`
	Parent string `yaml:"parent"` // code; "" for the root
	Level  string `yaml:"level"`
	Area   string `yaml:"area"`
	ZH     string `yaml:"zh"`
	EN     string `yaml:"en"`
}

// Unit is a team or department.
type Unit struct {
	Code   string `yaml:"code"`
	Region string `yaml:"region"`
	ZH     string `yaml:"zh"`
	EN     string `yaml:"en"`
}

// Person is a sample person with roles and qualifications.
type Person struct {
	Code           string          `yaml:"code"`
	Name           string          `yaml:"name"`
	Region         string          `yaml:"region"`
	Unit           string          `yaml:"unit"`
	Roles          []Role          `yaml:"roles"`
	Qualifications []Qualification `yaml:"qualifications"`
}

// Role is a role of a person in a region.
type Role struct {
	Role   string `yaml:"role"`
	Region string `yaml:"region"`
}

// Qualification is a certificate of a person.
type Qualification struct {
	Kind   string `yaml:"kind"`
	Number string `yaml:"number"`
}

// Pool is a number of people of one role.
type Pool struct {
	Code           string `yaml:"code"`
	ZH             string `yaml:"zh"`
	EN             string `yaml:"en"`
	Role           string `yaml:"role"`
	Region         string `yaml:"region"`
	Size           int    `yaml:"size"`
	Calendar       string `yaml:"calendar"`
	FinishOver     bool   `yaml:"finish_over"`
	CostPerHourFen int    `yaml:"cost_per_hour_fen"`
}

// Binding says which regions run a shipped process.
type Binding struct {
	Process string   `yaml:"process"`
	Regions []string `yaml:"regions"`
}

// Load reads the embedded file; an error is a mistake of the build.
func Load() (*Organisation, error) {
	var o Organisation
	if err := yaml.UnmarshalWithOptions(file, &o, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read the sample organisation: %w", err)
	}
	return &o, nil
}
