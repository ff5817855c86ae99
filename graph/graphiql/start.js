// Starts GraphiQL with the settings the server wrote into the page. Answers
// come as JSON; subscriptions as an event stream from the same address.
'use strict';

const settings = JSON.parse(document.getElementById('settings').textContent);

/** Asks the server: one result for JSON, an async iterator for an event stream. */
async function fetcher(params, options = {}) {
  const subscribes = isSubscription(params, options);
  const response = await fetch(settings.endpoint, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: subscribes ? 'text/event-stream' : 'application/graphql-response+json, application/json;q=0.9',
      ...options.headers,
    },
    body: JSON.stringify(params),
  });
  const stream = (response.headers.get('Content-Type') ?? '').startsWith('text/event-stream');
  return stream ? events(response.body) : response.json();
}

/** Tells whether the operation to run, by its name where there are several, is a subscription. */
function isSubscription({ operationName }, { documentAST }) {
  const operations = (documentAST?.definitions ?? []).filter((d) => d.kind === 'OperationDefinition');
  const chosen = operations.find((d) => d.name?.value === operationName) ?? operations[0];
  return chosen?.operation === 'subscription';
}

/** Yields the payload of every "next" event of a stream. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        if (block.startsWith('event: complete')) return;
        const data = block.match(/^data: (.+)$/m);
        if (data) yield JSON.parse(data[1]);
      }
    }
  } finally {
    await reader.cancel();
  }
}

ReactDOM.createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultQuery: settings.query,
    defaultHeaders: settings.headers,
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: true,
    defaultEditorToolsVisibility: settings.headers ? 'headers' : undefined,
  }),
);
