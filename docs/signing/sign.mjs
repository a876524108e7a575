// GET a URL of a service, signed with SigV4. Node 20, standard library only.
//
//   AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… AWS_REGION=… node sign.mjs URL
import { createHash, createHmac } from 'node:crypto';

const service = 'vpc-lattice-svcs';
const payload = 'UNSIGNED-PAYLOAD';

/** The header fields that sign a request now. The client itself sends the host, which is signed too. */
function sign(method, url) {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION } = process.env;
  const at = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const fields = { 'x-amz-content-sha256': payload, 'x-amz-date': at };
  if (AWS_SESSION_TOKEN) fields['x-amz-security-token'] = AWS_SESSION_TOKEN;

  const signed = Object.entries({ host: url.host, ...fields }); // in order as they stand
  const names = signed.map(([name]) => name).join(';');
  const lines = signed.map(([name, value]) => `${name}:${value}\n`).join('');
  const canonical = [method, url.pathname, query(url.search.slice(1)), lines, names, payload].join('\n');

  const scope = [at.slice(0, 8), AWS_REGION, service, 'aws4_request'];
  const hash = createHash('sha256').update(canonical).digest('hex');
  const toSign = ['AWS4-HMAC-SHA256', at, scope.join('/'), hash].join('\n');
  const key = scope.reduce(mac, `AWS4${AWS_SECRET_ACCESS_KEY}`);
  const signature = mac(key, toSign).toString('hex');
  fields.authorization =
    `AWS4-HMAC-SHA256 Credential=${AWS_ACCESS_KEY_ID}/${scope.join('/')}, SignedHeaders=${names}, Signature=${signature}`;
  return fields;
}

/** The parameters in canonical spelling and order. */
function query(raw) {
  return raw.split('&').filter(Boolean).map((pair) => {
    const [name, ...value] = pair.split('=');
    return `${encode(name)}\n${encode(value.join('='))}`; // a line feed comes before whatever a name may go on with
  }).sort().map((pair) => pair.replace('\n', '=')).join('&');
}

function encode(text) {
  return encodeURIComponent(decodeURIComponent(text.replaceAll('+', ' ')))
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function mac(key, text) {
  return createHmac('sha256', key).update(text).digest();
}

const url = new URL(process.argv[2]);
const answer = await fetch(url, { headers: sign('GET', url) });
process.stdout.write(`${answer.status} ${await answer.text()}`);
