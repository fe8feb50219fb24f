"""Processes in a sandbox: streams, terminals, signals, reattaching."""

import grpc
import pytest
from test_20_bad_input import refused

from cofferdam.v1 import file_pb2, process_pb2, sandbox_pb2
from cofferdam_e2e.mesh import CALL_SECONDS

KEPT = 1 << 20


def signal(sandbox, process: str, number: int) -> None:
    sandbox.tenant.processes.SignalProcess(
        process_pb2.SignalProcessRequest(sandbox=sandbox.id, process=process, signal=number), timeout=CALL_SECONDS
    )


def listed(sandbox) -> dict[str, process_pb2.ProcessInfo]:
    answer = sandbox.tenant.processes.ListProcesses(
        process_pb2.ListProcessesRequest(sandbox=sandbox.id), timeout=CALL_SECONDS
    )
    return {info.process: info for info in answer.processes}


def test_output_streams_and_exit_code(sandbox):
    done = sandbox.sh("echo out; echo err >&2; exit 7")
    assert (done.exit_code, done.signal, done.stdout, done.stderr) == (7, 0, b"out\n", b"err\n")


def test_arguments_environment_directory_and_user(sandbox):
    done = sandbox.run("sh", "-c", 'printf "%s|" "$@" "$ADDED" "$PWD" "$(id -un)"', "sh", "a b", "", "$x", env={"ADDED": "1 2"}, working_directory="/tmp", user="nobody")
    assert done.text == "a b||$x|1 2|/tmp|nobody|"


def test_stdin_reaches_the_process_whole(sandbox):
    data = bytes(range(256)) * 4096
    done = sandbox.run("sh", "-c", "cat; echo done >&2", stdin=data)
    assert done.stdout == data and done.stderr == b"done\n"


def test_stdin_stays_open_until_it_is_closed(sandbox):
    stream = sandbox.start("cat")
    stream.send(b"one\n")
    stream.until(b"one\n")
    stream.send(b"two\n")
    stream.until(b"two\n")
    stream.close_stdin()
    assert stream.wait().stdout == b"one\ntwo\n"


def test_a_terminal_with_its_size(sandbox):
    stream = sandbox.start(
        "sh", "-c", 'test -t 0 && stty size; trap "stty size; exit 0" WINCH; echo ready; while :; do sleep 0.1; done',
        terminal=process_pb2.TerminalSize(rows=31, columns=117),
    )
    stream.until(b"ready")
    assert b"31 117" in stream.stdout
    stream.resize(40, 132)
    done = stream.wait()
    assert b"40 132" in done.stdout and done.exit_code == 0


def test_control_c_through_a_terminal(sandbox):
    stream = sandbox.start("sh", "-c", "echo ready; exec sleep 1000", terminal=process_pb2.TerminalSize(rows=24, columns=80))
    stream.until(b"ready")
    stream.send(b"\x03")
    assert stream.wait().signal == 2


@pytest.mark.parametrize("number", [1, 9, 15])
def test_signals_end_a_process(sandbox, number):
    stream = sandbox.start("sleep", "1000")
    next(stream.events())
    signal(sandbox, stream.process, number)
    done = stream.wait()
    assert (done.signal, done.exit_code) == (number, 0)


def test_a_signal_can_be_handled(sandbox):
    stream = sandbox.start("sh", "-c", 'trap "echo caught; exit 3" USR1; echo ready; while :; do sleep 0.1; done')
    stream.until(b"ready")
    signal(sandbox, stream.process, 10)
    done = stream.wait()
    assert done.stdout == b"ready\ncaught\n" and done.exit_code == 3


def test_the_list_names_running_and_ended(sandbox):
    stream = sandbox.start("sleep", "1000", process="in-the-list")
    next(stream.events())
    assert stream.process == "in-the-list"
    running = listed(sandbox)["in-the-list"]
    assert (list(running.argv), running.pid, running.HasField("exited")) == (["sleep", "1000"], stream.pid, False)
    signal(sandbox, stream.process, 15)
    stream.wait()
    assert listed(sandbox)["in-the-list"].exited.signal == 15


def test_a_start_with_an_id_in_use_attaches(sandbox):
    first = sandbox.start("sh", "-c", "echo $$; read line; echo got $line", process="twice")
    first.until(b"\n")
    second = sandbox.start("sh", "-c", "echo another", process="twice")
    second.until(b"\n")
    assert second.stdout == first.stdout and second.pid == first.pid
    second.send(b"it\n")
    assert second.wait().stdout.endswith(b"got it\n")
    assert first.wait().stdout.endswith(b"got it\n")


def test_a_broken_stream_leaves_the_process_and_its_stdin(sandbox):
    stream = sandbox.start("sh", "-c", "echo one; read line; echo $line")
    stream.until(b"one\n")
    stream.close()
    again = sandbox.attach(stream.process, stdout_offset=2)
    again.until(b"e\n")
    again.send(b"two\n")
    assert again.wait().stdout == b"e\ntwo\n"


def test_an_ended_process_can_still_be_read(sandbox):
    stream = sandbox.start("sh", "-c", "echo out; echo err >&2; exit 5")
    stream.wait()
    again = sandbox.attach(stream.process).wait()
    assert (again.stdout, again.stderr, again.exit_code) == (b"out\n", b"err\n", 5)


def test_a_mebibyte_back_is_kept_and_no_more(sandbox):
    total = 3 * KEPT
    stream = sandbox.start("sh", "-c", f"head -c {total} /dev/zero | tr '\\0' x; echo end")
    assert len(stream.wait().stdout) == total + 4
    kept = sandbox.attach(stream.process, stdout_offset=total + 4 - KEPT).wait()
    assert len(kept.stdout) == KEPT and kept.stdout.endswith(b"xend\n")
    with refused("DATA_LOSS", "OUTPUT_LOST"):
        sandbox.attach(stream.process, stdout_offset=0).wait()


def test_a_reader_that_stops_reading_stops_the_writer(sandbox):
    """Back-pressure all the way: nobody between the process and the client keeps gigabytes."""
    size = 24 << 20
    stream = sandbox.start("sh", "-c", f"head -c {size} /dev/zero; echo written >/tmp/written")
    stream.until(b"\0")
    # Whatever fits into all the windows on the way is far less than the whole.
    assert sandbox.sh("sync; test -e /tmp/written").exit_code == 1
    assert len(stream.wait().stdout) == size
    assert sandbox.output("cat /tmp/written") == "written"


def test_a_process_that_stops_reading_stops_the_client(sandbox):
    """Back-pressure the other way: what is sent to a process that does not read is not kept on the way either."""
    chunks, size = 768, 32 * 1024
    sandbox.output("mkfifo /tmp/go")
    taken = 0

    def requests():
        nonlocal taken
        spec = process_pb2.ProcessSpec(argv=["sh", "-c", "read line </tmp/go; wc -c"])
        yield process_pb2.StartProcessRequest(sandbox=sandbox.id, spec=spec)
        for taken in range(1, chunks + 1):
            yield process_pb2.StartProcessRequest(stdin=b"x" * size)
        yield process_pb2.StartProcessRequest(close_stdin=process_pb2.CloseStdin())

    events = sandbox.tenant.processes.StartProcess(requests(), timeout=5 * CALL_SECONDS)
    assert next(events).WhichOneof("event") == "started"
    # It stands still once whole round trips on the same way pass without another chunk taken.
    before, still = -1, 0
    while still < 3:
        sandbox.output("true")
        before, still = taken, still + 1 if taken == before else 0
    assert taken < chunks // 2, f"{taken} of {chunks} chunks were taken from the client and are kept somewhere"
    sandbox.output("echo >/tmp/go")
    output = b"".join(event.stdout.data for event in events if event.WhichOneof("event") == "stdout")
    assert int(output) == chunks * size


def test_open_streams_end_with_their_sandbox(tenant, new_sandbox):
    sandbox = new_sandbox()
    process = sandbox.start("sh", "-c", "echo ready; exec sleep 1000")
    process.until(b"ready")
    sandbox.output("head -c 64M /dev/zero >/tmp/big")
    download = tenant.files.ReadFile(file_pb2.ReadFileRequest(sandbox=sandbox.id, path="/tmp/big"), timeout=5 * CALL_SECONDS)
    next(download)
    tenant.sandboxes.DeleteSandbox(sandbox_pb2.DeleteSandboxRequest(sandbox=sandbox.id), timeout=CALL_SECONDS)
    for read in (process.wait, lambda: list(download)):
        with refused("FAILED_PRECONDITION", "SANDBOX_NOT_RUNNING"):
            read()


def test_orphans_are_reaped(sandbox):
    sandbox.output("for n in 1 2 3 4 5; do sh -c 'sleep 0.01 &' ; done")
    assert sandbox.output("sleep 0.5; grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l") == "0"


def test_the_guests_users_cannot_drive_the_agent(sandbox):
    """The agent's port answers, but to no call without the token that only the node holds."""
    probe = "import socket; s=socket.create_connection(('169.254.0.21', 1024), 5); print('open')"
    done = sandbox.run("python3", "-c", probe)
    assert done.exit_code in (0, 1)
    everything = sandbox.output("cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n' | sort -u")
    assert "Bearer" not in everything


def test_a_cancelled_stream_does_not_hurt_the_next(sandbox):
    for _ in range(20):
        stream = sandbox.start("sleep", "1000")
        next(stream.events())
        stream.close()
        signal(sandbox, stream.process, 9)
    assert sandbox.lives()


def test_many_at_once(sandbox):
    streams = [sandbox.start("sh", "-c", f"echo {n}; read line; echo $line") for n in range(30)]
    for n, stream in enumerate(streams):
        stream.until(f"{n}\n".encode())
    for n, stream in enumerate(streams):
        stream.send(f"line {n}\n".encode())
    for n, stream in enumerate(streams):
        assert stream.wait().stdout == f"{n}\nline {n}\n".encode()


@pytest.mark.parametrize("size", [64 * 1024 + 1, 512 * 1024])
def test_messages_over_64_kib_are_refused(sandbox, size):
    stream = sandbox.start("cat")
    next(stream.events())
    stream.send(b"x" * size)
    with refused("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"):
        stream.wait()
    assert sandbox.lives()


def test_a_huge_message_costs_its_stream_and_no_more(sandbox):
    """Past the transport's own limit there is no reason to be had, for gRPC resets the stream."""
    stream = sandbox.start("cat")
    next(stream.events())
    stream.send(b"x" * (64 << 20))
    with pytest.raises(grpc.RpcError):
        stream.wait()
    assert sandbox.lives()
