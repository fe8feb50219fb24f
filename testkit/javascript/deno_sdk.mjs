// The JavaScript SDK of Deno Sandbox, as published, against the edge. Each check is one function; tests/test_61_deno_sdk.py
// runs them by name and prints what they throw. Environment: DENO_… as `cofferdam env` prints it, DENO_SDK (where npm put it).
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { Client, Sandbox, Snapshot } = createRequire(`${process.env.DENO_SDK}/x.js`)("@deno/sandbox");

async function withSandbox(options, use) {
  const sandbox = await Sandbox.create(options);
  try {
    return await use(sandbox);
  } finally {
    await sandbox.close();
  }
}

const rejected = async (promise) => await promise.then(() => assert.fail("it succeeded"), (error) => error);

// Names below localhost are this machine's, and the tests' edge has no TLS.
const to = (url, path, headers) => ({ host: "127.0.0.1", port: process.env.PORTS_PORT, path, headers: { host: new URL(url).host, ...headers } });

const ask = (url, headers = {}, path = "/page") =>
  new Promise((resolve, reject) => {
    const asked = request(to(url, path, headers), async (answer) => {
      let body = "";
      for await (const part of answer) body += part;
      resolve([answer.statusCode, body]);
    });
    asked.on("error", reject).end();
  });

const checks = {
  async processes() {
    await withSandbox({ env: { GREETING: "hello there" } }, async (sandbox) => {
      assert.match(sandbox.id, /^sbx_[a-z]{3}_[0-9a-hjkmnp-z]{20}$/);
      assert.equal(await sandbox.sh`echo $GREETING | tr a-z A-Z`.text(), "HELLO THERE\n");
      assert.deepEqual(await sandbox.sh`printf '{"a": [1, 2]}'`.json(), { a: [1, 2] });

      const child = await sandbox.spawn("sh", { args: ["-c", "echo out; echo err >&2; exit 3"], stdout: "piped", stderr: "piped" });
      const output = await child.output();
      assert.equal(output.stdoutText, "out\n");
      assert.equal(output.stderrText, "err\n");
      assert.deepEqual([output.status.success, output.status.code, output.status.signal], [false, 3, null]);
      const failed = await rejected(sandbox.sh`exit 7`.text());
      assert.deepEqual([failed.name, failed.code], ["SandboxCommandError", 7]);

      const cat = await sandbox.spawn("cat", { stdin: "piped", stdout: "piped", stderr: "null", cwd: "/tmp" });
      const writer = cat.stdin.getWriter();
      const chunk = new Uint8Array(32 * 1024).fill(120);
      const fed = (async () => {
        for (let i = 0; i < 64; i++) await writer.write(chunk);
        await writer.close();
      })();
      let length = 0;
      for await (const part of cat.stdout) length += part.length;
      await fed;
      assert.equal(length, 64 * chunk.length);
      assert.equal((await cat.status).success, true);
      assert.equal(cat.stderr, null);

      const sleeper = await sandbox.spawn("sleep", { args: ["1000"], stdout: "null", stderr: "null" });
      await sleeper.kill("SIGKILL");
      assert.deepEqual([(await sleeper.status).signal, (await sleeper.status).code], ["SIGKILL", 137]);
      await sleeper.kill();

      const controller = new AbortController();
      const aborted = await sandbox.spawn("sleep", { args: ["1000"], signal: controller.signal, stdout: "null", stderr: "null" });
      controller.abort();
      assert.equal((await aborted.status).signal, "SIGTERM");

      const bare = await sandbox.spawn("/bin/sh", { args: ["-c", "echo $GREETING/$ONLY"], clearEnv: true, env: { ONLY: "x" }, stdout: "piped" });
      assert.equal((await bare.output()).stdoutText, "/x\n");
      const absent = await rejected(sandbox.spawn("no-such-program"));
      assert.equal(absent.code, "ENOENT");
    });
  },

  async env() {
    await withSandbox({}, async (sandbox) => {
      await sandbox.env.set("A_NAME", "1");
      assert.equal(await sandbox.env.get("A_NAME"), "1");
      assert.equal((await sandbox.env.toObject()).A_NAME, "1");
      assert.equal(await sandbox.sh`echo $A_NAME`.text(), "1\n");
      await sandbox.env.delete("A_NAME");
      assert.ok((await sandbox.env.get("A_NAME")) == null);
      assert.equal(await sandbox.sh`echo -n "[$A_NAME]"`.text(), "[]");
    });
  },

  async files() {
    await withSandbox({}, async (sandbox) => {
      await sandbox.fs.mkdir("/tmp/d/e", { recursive: true });
      await sandbox.fs.writeTextFile("/tmp/d/text", "grüße\n");
      assert.equal(await sandbox.fs.readTextFile("/tmp/d/text"), "grüße\n");
      const bytes = new Uint8Array(3 << 20).map((_, i) => i * 7);
      await sandbox.fs.writeFile("/tmp/d/bytes", new Blob([bytes]).stream());
      assert.deepEqual(Buffer.from(await sandbox.fs.readFile("/tmp/d/bytes")), Buffer.from(bytes));
      const names = [];
      for await (const entry of sandbox.fs.readDir("/tmp/d")) names.push(`${entry.name}:${entry.isDirectory}`);
      assert.deepEqual(names.sort(), ["bytes:false", "e:true", "text:false"]);
      await sandbox.fs.rename("/tmp/d/text", "/tmp/d/moved");
      await sandbox.fs.remove("/tmp/d", { recursive: true });
      const missing = await rejected(sandbox.fs.readFile("/tmp/d/moved"));
      assert.equal(missing.code, "ENOENT");
      assert.equal(missing.constructor.name, "NotFound");
    });
  },

  async paths() {
    await withSandbox({}, async (sandbox) => {
      const { fs } = sandbox;
      const here = mkdtempSync(join(tmpdir(), "deno-sdk-"));
      try {
        mkdirSync(join(here, "tree/inner"), { recursive: true });
        const bytes = Buffer.alloc(700_000).map((_, i) => i * 13);
        writeFileSync(join(here, "tree/inner/bytes"), bytes);
        writeFileSync(join(here, "tree/text.txt"), "grüße\n");
        symlinkSync("inner/bytes", join(here, "tree/link"));
        await fs.mkdir("/tmp/up");
        await fs.upload(join(here, "tree"), "/tmp/up");
        mkdirSync(join(here, "back"));
        await fs.download("/tmp/up/tree", join(here, "back"));
        assert.deepEqual(readFileSync(join(here, "back/tree/inner/bytes")), bytes);
        assert.equal(readFileSync(join(here, "back/tree/text.txt"), "utf8"), "grüße\n");
        assert.equal(readlinkSync(join(here, "back/tree/link")), "inner/bytes");
      } finally {
        rmSync(here, { recursive: true });
      }
      const found = async (options) => (await Array.fromAsync(fs.walk("/tmp/up", options))).map((entry) => entry.name);
      assert.deepEqual(await found({ exts: ["txt"] }), ["text.txt"]);
      assert.deepEqual(await found({ match: [/B.TES$/i] }), ["bytes"]);
      assert.deepEqual(await found({ skip: [/inner/], includeDirs: false }), ["link", "text.txt"]);
      assert.equal((await rejected(found({ match: [/(?=x)/] }))).code, "EINVAL");
      const globbed = async (glob, options) => (await Array.fromAsync(fs.expandGlob(glob, options))).map((entry) => entry.path);
      assert.deepEqual(await globbed("tree/**/*.txt", { root: "/tmp/up" }), ["/tmp/up/tree/text.txt"]);
      assert.deepEqual(await globbed("/tmp/up/tree/*/", {}), ["/tmp/up/tree/inner"]);
      assert.deepEqual(await globbed("/none/*"), []);

      const info = await fs.stat("/tmp/up/tree/link");
      assert.ok(info.isFile && info.mtime instanceof Date && info.birthtime instanceof Date);
      assert.equal(info.size, 700_000);
      await fs.utime("/tmp/up/tree/text.txt", new Date(1000), new Date(2500));
      assert.equal((await fs.lstat("/tmp/up/tree/text.txt")).mtime.getTime(), 2500);
      assert.equal((await rejected(fs.stat("/none"))).constructor.name, "NotFound");
      assert.deepEqual([await fs.umask(0o027), await fs.umask()], [0o022, 0o027]);
      await fs.writeTextFile("/tmp/masked", "");
      assert.equal((await fs.stat("/tmp/masked")).mode & 0o777, 0o640);
    });
  },

  async handles() {
    await withSandbox({}, async (sandbox) => {
      const file = await sandbox.fs.open("/tmp/data", { read: true, write: true, truncate: true, create: true });
      assert.equal(await file.write(new Uint8Array([0, 1, 2, 3, 4, 5])), 6);
      assert.equal(await file.seek(2, 0), 2);
      assert.equal(await file.seek(-4n, 2), 2);
      const buffer = new Uint8Array(100);
      assert.equal(await file.read(buffer), 4);
      assert.deepEqual([...buffer.subarray(0, 4)], [2, 3, 4, 5]);
      assert.equal(await file.read(buffer), null);
      await file.truncate(3);
      assert.equal((await file.stat()).size, 3);
      const other = await sandbox.fs.open("/tmp/data");
      await file.lock(true);
      const waiting = other.lock(false);
      await file.syncData();
      await file.unlock();
      await waiting;
      await other.close();
      await file.close();
      await other.close();
      const refused = await rejected(sandbox.fs.open("/tmp/data", { write: true, createNew: true }));
      assert.equal(refused.constructor.name, "AlreadyExists");

      const long = await sandbox.fs.create("/tmp/long");
      const sent = new Uint8Array(300_000).map((_, i) => i * 3);
      await new Blob([sent]).stream().pipeTo(long.writable);
      await long.seek(0, 0);
      const parts = [];
      for await (const part of long.readable) parts.push(part);
      assert.deepEqual(Buffer.concat(parts), Buffer.from(sent));
      await long.close();
    });
  },

  async life() {
    const sandbox = await Sandbox.create({ timeout: "10m", labels: { "deno-js": String(process.pid) } });
    await sandbox.sh`echo kept > /root/kept`.text();
    const until = await sandbox.extendTimeout("15m");
    assert.ok(until.getTime() > Date.now() + 10 * 60_000);
    await sandbox.close();
    const client = new Client();
    const listed = await client.sandboxes.list({ labels: { "deno-js": String(process.pid) } });
    assert.deepEqual(listed.map((one) => [one.id, one.status, one.region]), [[sandbox.id, "running", "ord"]]);
    const again = await Sandbox.connect(sandbox.id);
    assert.equal(again.id, sandbox.id);
    assert.equal(await again.sh`cat /root/kept`.text(), "kept\n");
    const waiting = again.spawn("sleep", { args: ["1000"], stdout: "null", stderr: "null" }).then((child) => child.status);
    waiting.catch(() => {});
    await again.sh`true`.text();
    await again.kill();
    const closed = await rejected(waiting);
    assert.equal(closed.name, "ConnectionClosedError");
    assert.equal((await rejected(again.sh`true`.text())).name, "ConnectionClosedError");
    const gone = await rejected(Sandbox.connect(sandbox.id));
    assert.deepEqual([gone.name, gone.status, gone.code], ["ConnectionEstablishmentError", 404, "SANDBOX_NOT_FOUND"]);
  },

  async ssh() {
    await withSandbox({ ssh: true }, async (sandbox) => {
      const { hostname, username } = await sandbox.exposeSsh();
      assert.equal(hostname, "localhost");
      assert.match(username, /^sb-[a-z2-7]{20}$/);
      assert.deepEqual([sandbox.ssh.hostname, sandbox.ssh.username], [hostname, username]);
    });
  },

  async volumes() {
    const { volumes, snapshots } = new Client();
    const slug = `deno-js-${process.pid}`;
    const made = await volumes.create({ slug, region: "ord", capacity: "64MiB" });
    assert.deepEqual([made.id, made.slug, made.capacity, made.isBootable], [slug, slug, 64 << 20, false]);
    assert.equal((await volumes.get(slug)).capacity, made.capacity);
    assert.deepEqual((await volumes.list({ search: slug })).items.map((volume) => volume.slug), [slug]);
    const taken = await rejected(volumes.create({ slug, region: "ord", capacity: "65MiB" }));
    assert.deepEqual([taken.status, taken.code], [409, "VOLUME_EXISTS"]);
    const snapshot = await Snapshot.create(slug, { slug: `${slug}-s`, token: process.env.DENO_DEPLOY_TOKEN });
    assert.deepEqual([snapshot.slug, snapshot.isBootable, snapshot.volume], [`${slug}-s`, false, { id: slug, slug }]);
    assert.equal((await snapshots.get(snapshot.id)).flattenedSize, 64 << 20);
    assert.deepEqual((await Array.fromAsync(await snapshots.list({ search: slug }))).map((one) => one.slug), [snapshot.slug]);
    const copy = await volumes.create({ slug: `${slug}-c`, region: "ord", capacity: "64MiB", from: snapshot.slug });
    assert.equal(copy.baseSnapshot.slug, snapshot.slug);
    const disk = await volumes.create({ slug: `${slug}-b`, region: "ord", capacity: "300MiB", from: "builtin:debian-13" });
    assert.equal(disk.isBootable, true);
    const first = await Sandbox.create({ root: disk.slug });
    await first.sh`echo tool >/usr/local/bin/tool`.text();
    await first.kill();
    await Snapshot.create(disk.slug, { slug: `${slug}-bs`, token: process.env.DENO_DEPLOY_TOKEN });
    await withSandbox({ root: `${slug}-bs` }, async (sandbox) => {
      assert.equal(await sandbox.sh`cat /usr/local/bin/tool`.text(), "tool\n");
    });
    await snapshots.delete(`${slug}-bs`);
    await volumes.delete(disk.id);
    await snapshots.delete(snapshot.id);
    assert.equal(await snapshots.get(snapshot.id), null);
    await volumes.delete(copy.id);
    await volumes.delete(slug);
    assert.equal(await volumes.get(slug), null);
  },

  async fetching() {
    const server = `require("http").createServer((q, s) => {
      if (q.url === "/hang") return;
      if (q.url === "/moved") return s.writeHead(302, { location: "/echo" }).end();
      s.writeHead(201, "Made", { "x-method": q.method, "set-cookie": ["a=1", "b=2"] });
      q.pipe(s);
    }).listen(8099, "127.0.0.1", () => console.log("up"))`;
    await withSandbox({}, async (sandbox) => {
      const running = await sandbox.spawn("node", { args: ["-e", server], stdout: "piped" });
      await running.stdout.getReader().read();
      const here = "http://127.0.0.1:8099";
      const sent = "grüße ".repeat(40_000);
      const answer = await sandbox.fetch(`${here}/echo?a|b`, { method: "POST", body: sent, headers: { "content-type": "text/plain" } });
      assert.deepEqual([answer.status, answer.statusText, answer.headers.get("x-method")], [201, "Made", "POST"]);
      assert.deepEqual(answer.headers.getSetCookie(), ["a=1", "b=2"]);
      assert.equal(await answer.text(), sent);
      assert.equal((await sandbox.fetch(`${here}/moved`)).status, 201);
      assert.equal((await sandbox.fetch(`${here}/moved`, { redirect: "manual" })).status, 302);
      assert.equal((await sandbox.fetch(`${here}/echo`, { method: "HEAD" })).headers.get("x-method"), "HEAD");
      const controller = new AbortController();
      const waiting = sandbox.fetch(`${here}/hang`, { signal: controller.signal });
      await sandbox.sh`true`.text();
      controller.abort();
      assert.equal((await rejected(waiting)).name, "AbortError");
      const refused = await rejected(sandbox.fetch("http://127.0.0.1:1/"));
      assert.deepEqual([refused.constructor.name, refused.code], ["TypeError", "ECONNREFUSED"]);
    });
  },

  async runtime() {
    await withSandbox({}, async (sandbox) => {
      const { deno } = sandbox;
      const ran = await deno.run({
        code: "const text: string = await new Response(Deno.stdin.readable).text(); console.log(Deno.args.join(), text)",
        scriptArgs: ["a", "-b"],
        stdin: "piped",
        stdout: "piped",
      });
      const writer = ran.stdin.getWriter();
      await writer.write(new TextEncoder().encode("input"));
      await writer.close();
      assert.equal((await ran.output()).stdoutText, "a,-b input\n");

      const code = "Deno.serve(async (q) => new Response(`${new URL(q.url).pathname} ${q.method} ${await q.text()}`, { status: 202 }))";
      const served = await deno.run({ code, stdout: "null", stderr: "null" });
      assert.equal(await served.httpReady, true);
      const answer = await served.fetch("https://example.com/resource", { method: "POST", body: "x" });
      assert.deepEqual([answer.status, await answer.text()], [202, "/resource POST x"]);
      await served.kill();
      await served.status;
      assert.equal((await rejected(served.fetch("http://x/"))).code, "ENOENT");

      await sandbox.fs.writeTextFile("/tmp/entry.ts", "Deno.exit(3 as number)");
      const exits = await deno.run({ entrypoint: "/tmp/entry.ts", stdout: "null", stderr: "null" });
      assert.equal(await exits.httpReady, false);
      assert.equal((await exits.status).code, 3);

      const repl = await deno.repl({ stdout: "null", stderr: "null" });
      await repl.eval("const x: number = 1");
      assert.equal(await repl.eval("x + 1"), 2);
      assert.equal(await repl.eval("await Promise.resolve(x + 2)"), 3);
      await repl.eval("function add(a, b) { return a + b; }");
      assert.equal(await repl.call("add", 1, 2), 3);
      assert.deepEqual(await repl.call("(a) => ({ a })", [1]), { a: [1] });
      assert.equal((await rejected(repl.eval("throw new RangeError('no')"))).constructor.name, "RangeError");
      await repl.close();
      assert.equal((await rejected(repl.eval("1"))).code, "ENOENT");
    });
  },

  async refusals() {
    const invalid = await rejected(Sandbox.create({ token: "ddo_nobody" }));
    assert.equal(invalid.name, "InvalidTokenError");
    const root = await rejected(Sandbox.create({ root: "x" }));
    assert.deepEqual([root.name, root.status, root.code], ["ConnectionEstablishmentError", 404, "VOLUME_NOT_FOUND"]);
    const apps = await rejected(new Client().apps.list());
    assert.deepEqual([apps.name, apps.status, apps.code], ["ClientError", 501, "NOT_SERVED"]);
    await withSandbox({}, async (sandbox) => {
      const vscode = await rejected(sandbox.exposeVscode("/root"));
      assert.equal(vscode.code, "NOT_SERVED");
      assert.match(vscode.message, /template has no code-server/);
      const deploy = await rejected(sandbox.deno.deploy("app"));
      assert.equal(deploy.name, "DeployError");
    });
  },

  // Its own test file runs it.
  async expose() {
    await withSandbox({ port: 8098 }, async (sandbox) => {
      const server = `require("http").createServer((q, a) => a.end(JSON.stringify([q.url, q.headers.host, q.headers.cookie ?? ""]))).listen(8098, () => console.log("ready"))`;
      const running = await sandbox.spawn("node", { args: ["-e", server], stdout: "piped" });
      await running.stdout.getReader().read();
      const own = await sandbox.exposeHttp({ port: 8098 });
      for (const url of [own, sandbox.url]) {
        assert.match(url, new RegExp(`^https://[a-z2-7]{12}-[a-z2-7]{20}\\.localhost:${process.env.PORTS_PORT}$`));
        assert.deepEqual(await ask(url, { cookie: "cofferdam-port=cfk_x" }), [200, JSON.stringify(["/page", new URL(url).host, ""])]);
      }
      assert.notEqual(own, sandbox.url);
      const served = await sandbox.deno.run({ code: "Deno.serve(() => new Response('of deno'))", stdout: "null", stderr: "null" });
      assert.equal(await served.httpReady, true);
      assert.deepEqual(await ask(await sandbox.exposeHttp(served)), [200, "of deno"]);
      const idle = await rejected(sandbox.exposeHttp({ pid: running.pid }));
      assert.deepEqual([idle.constructor.name, idle.code], ["NotFound", "ENOENT"]);
      for (const port of [0, 65536]) assert.match((await rejected(sandbox.exposeHttp({ port }))).message, /port/);
      const agents = await rejected(sandbox.exposeHttp({ port: 1024 }));
      assert.deepEqual([agents.constructor.name, agents.code], ["TypeError", "EINVAL"]);
    });
  },

  // Likewise, in a sandbox that has a code-server.
  async vscode() {
    const sandbox = await Sandbox.connect(process.env.SANDBOX);
    try {
      assert.equal((await rejected(sandbox.exposeVscode("/no/such/directory"))).code, "ENOENT");
      assert.equal((await rejected(sandbox.exposeVscode("/home/app", { preview: "http://localhost/" }))).code, "NOT_SERVED");
      const options = { env: { MARK: "of-the-caller" }, editorSettings: { "editor.fontSize": 20 } };
      const vscode = await sandbox.exposeVscode("/home/app", options);
      assert.match(vscode.url, new RegExp(`^https://[a-z2-7]{12}-[a-z2-7]{20}\\.localhost:${process.env.PORTS_PORT}$`));
      const [status, page] = await ask(vscode.url, {}, "/?folder=/home/app");
      assert.equal(status, 200);
      assert.match(page, /id="vscode-workbench-web-configuration"/);
      assert.equal(await sandbox.fs.readTextFile("/root/.local/share/code-server/User/settings.json"), '{"editor.fontSize":20}');
      const environments = await sandbox.sh`cat /proc/[0-9]*/environ | tr '\\0' '\\n'`.text();
      assert.match(environments, /^MARK=of-the-caller$/m);
      assert.ok(!environments.includes("DENO_DEPLOY_SANDBOX_TOKEN") && !environments.includes(process.env.DENO_DEPLOY_TOKEN));
      await new Promise((resolve, reject) => {
        const key = { "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", "sec-websocket-version": "13" };
        const origin = new URL(vscode.url).origin.replace("https:", "http:");
        const asked = request(to(vscode.url, "/?reconnectionToken=a", { connection: "Upgrade", upgrade: "websocket", origin, ...key }));
        asked.on("upgrade", (_, socket) => resolve(socket.destroy()));
        asked.on("response", (answer) => reject(new Error(`no upgrade: ${answer.statusCode}`)));
        asked.on("error", reject).end();
      });
      await vscode.kill();
      await vscode.status;
      assert.equal((await ask(vscode.url))[0], 502);
    } finally {
      await sandbox.close();
    }
  },

  async secret() {
    const { SECRET_VALUE: value, BOUND: bound, OTHER: other } = process.env;
    await withSandbox({ allowNet: [bound, other], secrets: { API_KEY: { hosts: [bound], value } } }, async (sandbox) => {
      const inside = await sandbox.sh`printf %s "$API_KEY"`.text();
      assert.ok(inside.length > 0 && inside !== value);
      const echoed = await sandbox.sh`curl -sm 30 -H "X-Any: $API_KEY" https://${bound}/headers`.text();
      assert.ok(echoed.includes(inside) && !echoed.includes(value));
      const code = "%{http_code} %header{cofferdam-reason}";
      assert.equal(
        await sandbox.sh`curl -sm 30 -o /dev/null -w ${code} -H "X-Any: $API_KEY" https://${other}/headers`.text(),
        "403 placeholder_host_not_bound",
      );
    });
  },

  async many() {
    const first = await Sandbox.create();
    const second = await Sandbox.create();
    try {
      // The streams of all sockets of a program lie in one table of the SDK's.
      const texts = await Promise.all(
        [first, second].flatMap((sandbox, s) =>
          Array.from({ length: 8 }, (_, i) => sandbox.sh`echo ${`${s}-${i}`}`.text())),
      );
      assert.deepEqual(texts, [0, 1].flatMap((s) => Array.from({ length: 8 }, (_, i) => `${s}-${i}\n`)));
    } finally {
      await Promise.all([first.close(), second.close()]);
    }
  },
};

await checks[process.argv[2]]();
console.log(`ok ${process.argv[2]}`);
