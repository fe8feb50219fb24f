"""The Deno runtime in a sandbox, by the Python SDK; the JavaScript one's is a check of testkit/javascript/deno_sdk.mjs."""

import pytest
from deno_sandbox import DenoDeploy
from deno_sandbox.errors import ProcessAlreadyExited


@pytest.fixture(scope="module")
def sandbox():
    with DenoDeploy().sandbox.create() as made:
        yield made


def test_a_script_with_its_arguments_and_output(sandbox):
    process = sandbox.deno.run(code="console.log(Deno.args.join(' ')); Deno.exit(4)", script_args=["a", "-b"], stdout="piped", stderr="piped")
    assert process.wait()["code"] == 4
    assert process.stdout.read() == b"a -b\n"
    listed = [entry["name"] for entry in sandbox.fs.read_dir("/tmp")]
    assert not [name for name in listed if name.startswith("deno-") and name.endswith(".ts")], "no script stays behind"


def test_a_process_that_serves(sandbox):
    sandbox.fs.write_text_file("/tmp/serve.ts", "Deno.serve((q: Request) => new Response(null, { status: 203, headers: { 'x-path': new URL(q.url).pathname } }))")
    process = sandbox.deno.run(entrypoint="/tmp/serve.ts", stdout="piped", stderr="piped")
    assert process.wait_http_ready()
    answer = process.fetch("https://example.com/some/path")
    assert (answer.status_code, dict(answer.headers)["x-path"]) == (203, "/some/path")
    sandbox._bridge.run(process._async.kill())


def test_evaluation_has_state_until_its_end(sandbox):
    assert sandbox.deno.eval("1 + 1") == 2
    repl = sandbox.deno.repl()
    repl.eval("let counted: number = 1")
    assert [repl.eval("counted += 1; counted"), repl.eval("counted += 1; counted")] == [2, 3]
    assert repl.call("(a, b) => a + b + counted", [1, 2]) == 6
    with pytest.raises(Exception, match="RangeError"):
        repl.eval("throw new RangeError('no')")
    repl.close()
    with pytest.raises(ProcessAlreadyExited):
        repl.eval("1")
