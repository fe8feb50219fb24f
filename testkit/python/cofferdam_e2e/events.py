"""The audit record, read by its cursor."""

from cofferdam.v1 import audit_pb2
from cofferdam_e2e.mesh import CALL_SECONDS, Tenant
from cofferdam_e2e.waiting import eventually


USE = audit_pb2.AUDIT_EVENT_TYPE_USE
DECISION = audit_pb2.AUDIT_EVENT_TYPE_DECISION
DROP = audit_pb2.AUDIT_EVENT_TYPE_DROP
CHANGE = audit_pb2.AUDIT_EVENT_TYPE_CHANGE
ALLOWED = audit_pb2.VERDICT_ALLOWED
DENIED = audit_pb2.VERDICT_DENIED


class Events:
    """Everything recorded of one sandbox, or of the whole tenant."""

    def __init__(self, tenant: Tenant, sandbox: str = ""):
        self._tenant = tenant
        self._sandbox = sandbox
        self._cursor = ""
        self.seen: list[audit_pb2.AuditEvent] = []

    def read(self) -> list[audit_pb2.AuditEvent]:
        """All so far, what has just come included."""
        while True:
            page = self._tenant.audit.ListAuditEvents(
                audit_pb2.ListAuditEventsRequest(page_size=1000, cursor=self._cursor, sandbox=self._sandbox),
                timeout=CALL_SECONDS,
            )
            if page.events:
                self._cursor = page.events[-1].cursor
                self.seen.extend(page.events)
            if not page.next_cursor:
                return self.seen

    def from_now(self) -> "Events":
        """Without what is recorded by now: what an earlier test brought about is no answer to this one."""
        self.read()
        self.seen.clear()
        return self

    def expect(self, what: str, **fields) -> audit_pb2.AuditEvent:
        """Waits for an event whose fields have these values: gateways and nodes report in their own time."""

        def matching():
            return next((event for event in self.read() if matches(event, fields)), None)

        return eventually(matching, lambda: f"an event of {what} with {fields}; there are:\n{self}")

    def all(self, **fields) -> list[audit_pb2.AuditEvent]:
        return [event for event in self.read() if matches(event, fields)]

    def __str__(self) -> str:
        return "\n".join(describe(event) for event in self.seen)


def matches(event: audit_pb2.AuditEvent, fields: dict) -> bool:
    return all(getattr(event, name) == value for name, value in fields.items())


def describe(event: audit_pb2.AuditEvent) -> str:
    return " ".join(
        str(part)
        for part in (
            audit_pb2.AuditEventType.Name(event.type).removeprefix("AUDIT_EVENT_TYPE_"),
            audit_pb2.Verdict.Name(event.verdict).removeprefix("VERDICT_"),
            audit_pb2.EgressReason.Name(event.reason).removeprefix("EGRESS_REASON_"),
            event.protocol,
            event.method,
            f"{event.host}:{event.port}{event.path}",
            event.secret,
            event.target,
            event.status,
            event.reported_by,
            f"x{event.count}",
            event.message,
        )
        if part
    )
