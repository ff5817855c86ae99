package problem

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/openspms/spms/internal/fault"
)

type langKey struct{}

// WithLang returns a context whose texts are in lang.
func WithLang(ctx context.Context, lang fault.Lang) context.Context {
	return context.WithValue(ctx, langKey{}, lang)
}

// LangOf returns the language set by WithLang, else the one of the operation's
// Accept-Language header, else Chinese.
func LangOf(ctx context.Context) fault.Lang {
	if lang, ok := ctx.Value(langKey{}).(fault.Lang); ok {
		return lang
	}
	if graphql.HasOperationContext(ctx) {
		return fault.MatchLang(graphql.GetOperationContext(ctx).Headers.Get("Accept-Language"))
	}
	return fault.ZH
}
