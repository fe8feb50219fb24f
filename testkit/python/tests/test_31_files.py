"""Files of a sandbox."""

import os
import threading

import grpc
import pytest
from test_20_bad_input import refused

from cofferdam.v1 import file_pb2, sandbox_pb2
from cofferdam_e2e.mesh import CALL_SECONDS


@pytest.fixture
def folder(sandbox, request) -> str:
    path = f"/tmp/files/{request.node.name}".replace("[", "-").replace("]", "")
    sandbox.run("mkdir", "-p", path)
    return path


def stat(sandbox, path: str) -> file_pb2.FileInfo:
    return sandbox.tenant.files.StatFile(
        file_pb2.StatFileRequest(sandbox=sandbox.id, path=path), timeout=CALL_SECONDS
    )


def test_what_is_written_is_read(sandbox, folder):
    data = os.urandom(3 << 20)
    assert sandbox.write(f"{folder}/data", data, mode=0o600) == len(data)
    assert sandbox.read(f"{folder}/data") == data
    assert sandbox.output(f"stat -c '%a %s %U' {folder}/data") == f"600 {len(data)} root"


def test_empty_files_and_ranges(sandbox, folder):
    assert sandbox.write(f"{folder}/empty", b"") == 0
    assert sandbox.read(f"{folder}/empty") == b""
    sandbox.write(f"{folder}/digits", b"0123456789")
    assert sandbox.read(f"{folder}/digits", offset=3, length=4) == b"3456"
    assert sandbox.read(f"{folder}/digits", offset=8) == b"89"
    assert sandbox.read(f"{folder}/digits", offset=10) == b""


def test_stat_tells_what_a_file_is(sandbox, folder):
    sandbox.output(f"cd {folder} && echo text >file && chmod 640 file && mkdir dir && ln -s file link && mkfifo pipe")
    file = stat(sandbox, f"{folder}/file")
    assert (file.type, file.size, file.mode, file.uid) == (file_pb2.FILE_TYPE_REGULAR, 5, 0o640, 0)
    assert file.modify_time.seconds > 1_700_000_000
    assert stat(sandbox, f"{folder}/dir").type == file_pb2.FILE_TYPE_DIRECTORY
    link = stat(sandbox, f"{folder}/link")
    assert (link.type, link.link_target) == (file_pb2.FILE_TYPE_SYMLINK, "file")
    assert stat(sandbox, f"{folder}/pipe").type == file_pb2.FILE_TYPE_OTHER


def test_directories_are_listed_in_pages(sandbox, folder):
    sandbox.output(f"cd {folder} && for n in $(seq 10 34); do touch f$n; done")
    names, token = [], ""
    while True:
        page = sandbox.tenant.files.ListDirectory(
            file_pb2.ListDirectoryRequest(sandbox=sandbox.id, path=folder, page_size=10, page_token=token),
            timeout=CALL_SECONDS,
        )
        assert len(page.entries) <= 10
        names += [entry.path.rsplit("/", 1)[1] for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert names == [f"f{n}" for n in range(10, 35)]


def test_make_move_and_remove(sandbox, folder):
    files = sandbox.tenant.files
    made = files.MakeDirectory(
        file_pb2.MakeDirectoryRequest(sandbox=sandbox.id, path=f"{folder}/a/b", mode=0o700, make_parents=True),
        timeout=CALL_SECONDS,
    )
    assert (made.type, made.mode) == (file_pb2.FILE_TYPE_DIRECTORY, 0o700)
    sandbox.write(f"{folder}/a/b/one", b"one")
    sandbox.write(f"{folder}/two", b"two")

    def move(replace: bool) -> None:
        files.MoveFile(
            file_pb2.MoveFileRequest(
                sandbox=sandbox.id, source=f"{folder}/two", destination=f"{folder}/a/b/one", replace=replace
            ),
            timeout=CALL_SECONDS,
        )

    with refused("ALREADY_EXISTS", "FILE_EXISTS"):
        move(False)
    assert sandbox.read(f"{folder}/a/b/one") == b"one"
    move(True)
    assert sandbox.read(f"{folder}/a/b/one") == b"two"

    def remove(recursive: bool) -> None:
        files.RemoveFile(
            file_pb2.RemoveFileRequest(sandbox=sandbox.id, path=f"{folder}/a", recursive=recursive),
            timeout=CALL_SECONDS,
        )

    with refused("FAILED_PRECONDITION", "DIRECTORY_NOT_EMPTY"):
        remove(False)
    remove(True)
    with refused("NOT_FOUND", "FILE_NOT_FOUND"):
        stat(sandbox, f"{folder}/a")


@pytest.mark.parametrize(
    ("call", "status", "reason"),
    [
        (lambda s, f: s.read(f"{f}/none"), "NOT_FOUND", "FILE_NOT_FOUND"),
        (lambda s, f: s.read(f), "FAILED_PRECONDITION", "IS_A_DIRECTORY"),
        (lambda s, f: s.write(f"{f}/no/parent", b"x"), "NOT_FOUND", "FILE_NOT_FOUND"),
        (lambda s, f: s.write(f, b"x"), "FAILED_PRECONDITION", "IS_A_DIRECTORY"),
        (lambda s, f: s.read("/etc/hostname/x"), "FAILED_PRECONDITION", "NOT_A_DIRECTORY"),
    ],
    ids=["no file", "read a directory", "no parent", "write a directory", "file as directory"],
)
def test_refusals(sandbox, folder, call, status, reason):
    with refused(status, reason):
        call(sandbox, folder)


def test_parents_are_made_when_asked(sandbox, folder):
    sandbox.write(f"{folder}/x/y/z", b"deep", make_parents=True)
    assert sandbox.read(f"{folder}/x/y/z") == b"deep"


def test_a_write_that_breaks_leaves_the_old_file(sandbox, folder):
    path = f"{folder}/kept"
    sandbox.write(path, b"old")
    sent = threading.Event()

    def messages():
        yield file_pb2.WriteFileRequest(sandbox=sandbox.id, target=file_pb2.WriteFileTarget(path=path))
        for _ in range(64):
            yield file_pb2.WriteFileRequest(data=b"n" * 32768)
        sent.set()
        # Never the end: the test cancels.
        threading.Event().wait(CALL_SECONDS)

    call = sandbox.tenant.files.WriteFile.future(messages(), timeout=CALL_SECONDS)
    assert sent.wait(CALL_SECONDS)
    call.cancel()
    assert sandbox.read(path) == b"old"


def test_a_full_disk_is_told(sandbox, tenant, new_sandbox):
    small = new_sandbox(size=sandbox_pb2.SandboxSize(disk_mib=64))
    small.output("fallocate -l 48M /root/there")
    with pytest.raises(grpc.RpcError) as caught:
        small.write("/root/big", b"\0" * (16 << 20))
    assert caught.value.code().name == "RESOURCE_EXHAUSTED", caught.value
    assert small.lives()
    small.write("/root/small", b"still works")
