//go:build ignore

// Command entc generates the ent package and its part of the GraphQL schema
// from the data model in schema.
package main

import (
	"log"

	"entgo.io/contrib/entgql"
	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

func main() {
	ex, err := entgql.NewExtension(
		entgql.WithSchemaGenerator(),
		entgql.WithSchemaPath("../graph/sdl/ent.graphql"),
		entgql.WithConfigPath("../gqlgen.yml"),
		entgql.WithWhereInputs(true),
		entgql.WithRelaySpec(true),
		entgql.WithNodeDescriptor(false),
	)
	if err != nil {
		log.Fatalf("create the entgql extension: %v", err)
	}
	err = entc.Generate("../schema", &gen.Config{
		Target:  ".",
		Package: "github.com/openspms/spms/ent",
		Features: []gen.Feature{
			gen.FeatureIntercept, gen.FeatureVersionedMigration, gen.FeatureLock, gen.FeatureExecQuery, gen.FeatureModifier,
		},
	}, entc.Extensions(ex), entc.TemplateDir("./template"))
	if err != nil {
		log.Fatalf("generate: %v", err)
	}
}
