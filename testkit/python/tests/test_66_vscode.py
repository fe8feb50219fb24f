"""`exposeVscode` of the JavaScript SDK of Deno Sandbox, with code-server as npm has it; what is asked of it is a check of
testkit/javascript/deno_sdk.mjs. A template without one is refused there too."""

from test_61_deno_sdk import run_javascript
from test_62_port_urls import domain
from test_65_expose import foreign_id

from cofferdam.v1 import sandbox_pb2
from cofferdam_e2e.image import TOOLS

PROGRAM = TOOLS / "code-server.tar"


def test_vscode_in_a_sandbox_that_has_a_code_server(new_sandbox):
    sandbox = new_sandbox(size=sandbox_pb2.SandboxSize(memory_mib=2048, disk_mib=2048))
    sandbox.write("/opt/code-server.tar", PROGRAM.read_bytes())
    sandbox.output(
        "mkdir -p /opt/code-server /home/app && tar -C /opt/code-server -xf /opt/code-server.tar && rm /opt/code-server.tar"
        " && ln -s /opt/code-server/bin/code-server /usr/local/bin/code-server"
    )
    run_javascript("vscode", SANDBOX=foreign_id(sandbox), PORTS_PORT=str(domain()[1]))
