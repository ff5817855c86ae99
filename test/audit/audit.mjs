// Runs every audit of npm graphql-http against the server at the URL given and
// prints one line per audit: its result, id and name. Exits with 1 unless all
// are ok.
import { auditServer } from 'graphql-http';

const url = process.argv[2];
if (!url) {
  console.error('usage: node audit.mjs URL');
  process.exit(2);
}
const results = await auditServer({ url });
for (const r of results) {
  console.log(`${r.status} ${r.id} ${r.name}${r.reason ? `: ${r.reason}` : ''}`);
}
const ok = results.filter((r) => r.status === 'ok').length;
console.log(`${ok} of ${results.length} audits are ok`);
process.exit(ok === results.length && ok > 0 ? 0 : 1);
