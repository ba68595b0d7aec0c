// undici's ProxyAgent asks the egress proxy; prints what it got as one JSON object.
import { readFileSync } from 'node:fs';
import { ProxyAgent, fetch } from 'undici';

const [proxy, credentials, target, authority, tunnel] = process.argv.slice(2);
const token = credentials ? `Basic ${Buffer.from(credentials).toString('base64')}` : undefined;
const requestTls = { ca: readFileSync(authority, 'utf8') };
const dispatcher = new ProxyAgent({ uri: proxy, token, requestTls, proxyTunnel: tunnel === 'tunnel' });
try {
  const answer = await fetch(target, { dispatcher, signal: AbortSignal.timeout(20_000) });
  console.log(JSON.stringify({ status: answer.status, text: await answer.text() }));
} catch (error) {
  console.log(JSON.stringify({ error: `${error} ${error.cause ?? ''}` }));
}
