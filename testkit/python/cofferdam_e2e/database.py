"""The mesh's PostgreSQL, as the role of one of its services sees it."""

import io
from urllib.parse import urlsplit

import pg8000.dbapi

from cofferdam_e2e.mesh import Mesh

ROLES = ("scheduler", "broker")


def connect(mesh: Mesh, role: str, database: str = "") -> pg8000.dbapi.Connection:
    """With the role's own password, to its own database where no other is named."""
    settings = dict(
        line.split("=", 1)
        for line in (mesh.state / role / "service.properties").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    server = urlsplit(settings["database.url"].removeprefix("jdbc:"))
    name = f"cofferdam_{role}"
    return pg8000.dbapi.connect(
        name,
        host=server.hostname,
        port=server.port,
        database=f"cofferdam_{database}" if database else name,
        password=(mesh.state / "passwords" / name).read_text(),
    )


def dump(mesh: Mesh, role: str) -> dict[str, bytes]:
    """Every table of the role's database, as COPY writes it."""
    connection = connect(mesh, role)
    try:
        cursor = connection.cursor()
        cursor.execute("select tablename from pg_tables where schemaname = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        found = {}
        for table in tables:
            text = io.BytesIO()
            cursor.execute(f'copy "{table}" to stdout', stream=text)
            found[table] = text.getvalue()
        return found
    finally:
        connection.close()
