-- Keys for one port of one sandbox. They go with its record.

create table port_keys (
  id text primary key,
  tenant text not null,
  sandbox text not null references sandboxes (id) on delete cascade,
  port integer not null check (port between 1 and 65535),
  -- For everybody: what it is a hash of is no secret.
  public boolean not null,
  sha256 bytea not null unique check (octet_length(sha256) = 32),
  create_time timestamptz not null,
  expire_time timestamptz check (expire_time is null or not public)
);

create index port_keys_sandbox on port_keys (sandbox);
