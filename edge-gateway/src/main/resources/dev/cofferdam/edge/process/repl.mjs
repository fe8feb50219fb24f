// A REPL for one client: a line of JSON each way. What it evaluates it does as V8's inspector does for a console, so that
// declarations stay and await is understood; types are taken off.
import { Session } from "node:inspector";
import { stripTypeScriptTypes } from "node:module";

const port = Number(Deno.env.get("DENO_REPL_PORT"));
Deno.env.delete("DENO_REPL_PORT");
const { parse, stringify } = JSON;
const AsyncFunction = (async () => {}).constructor;
const encoder = new TextEncoder();
const session = new Session();
session.connect();
const post = (method, params) =>
  new Promise((resolve, reject) => session.post(method, params, (error, result) => error ? reject(error) : resolve(result)));

// How what the inspector only names comes here.
const hand = Symbol("hand");
let handed;
Object.defineProperty(globalThis, hand, { value: (it) => handed = it });
const { result: giver } = await post("Runtime.evaluate", {
  expression: "(() => { const hand = globalThis[Object.getOwnPropertySymbols(globalThis).find((s) => s.description === 'hand')]; return (it) => { hand(it); }; })()",
});

async function value(remote) {
  if (remote.unserializableValue !== undefined) {
    return remote.type === "bigint" ? remote.unserializableValue.slice(0, -1) : Number(remote.unserializableValue);
  }
  if (remote.objectId === undefined) return remote.value;
  await post("Runtime.callFunctionOn", {
    objectId: giver.objectId,
    functionDeclaration: "function (it) { this(it); }",
    arguments: [{ objectId: remote.objectId }],
  });
  const it = handed;
  handed = undefined;
  return it;
}

function isExpression(code) {
  try {
    return new AsyncFunction(`return (${code}\n)`) !== undefined;
  } catch {
    return false;
  }
}

async function evaluate(code) {
  let expression = code;
  try {
    expression = stripTypeScriptTypes(code);
  } catch {
    // The evaluation tells what is wrong with it.
  }
  // Else an object would be taken for a block.
  if (/^\s*\{[\s\S]*\}\s*$/.test(expression) && isExpression(expression)) expression = `(${expression}\n)`;
  const answer = await post("Runtime.evaluate", { expression, replMode: true, awaitPromise: true });
  const it = await value(answer.exceptionDetails?.exception ?? answer.result);
  if (answer.exceptionDetails) throw it;
  return it;
}

const plain = (_, it) => {
  if (typeof it === "bigint") return it.toString();
  if (it instanceof Map || it instanceof Set) return [...it];
  return it;
};

function failure(thrown) {
  if (!(thrown instanceof Error)) return { constructorName: "Error", message: String(thrown) };
  return { constructorName: String(thrown.constructor?.name ?? "Error"), message: String(thrown.message) };
}

async function answer({ code, fn, args }) {
  try {
    const it = fn === undefined ? await evaluate(code) : await (await evaluate(`(${fn})`))(...args);
    return stringify({ ok: it }, plain);
  } catch (thrown) {
    return stringify({ error: failure(thrown) });
  }
}

const listener = Deno.listen({ hostname: "127.0.0.1", port });
const connection = await listener.accept();
listener.close();
let rest = "";
for await (const text of connection.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop();
  for (const line of lines) {
    const bytes = encoder.encode(`${await answer(parse(line))}\n`);
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  }
}
Deno.exit();
