-- Keys by which people get in over SSH. Each ends with the token that it was registered with.

create table ssh_keys (
  -- Never another's: what was opened by one that is gone is not opened by who came in its place.
  id bigint generated always as identity unique,
  tenant text not null,
  name text not null,
  token text not null references tokens (id) on delete cascade,
  -- Ed25519 (RFC 8032), 32 bytes.
  public_key bytea not null check (octet_length(public_key) = 32),
  create_time timestamptz not null,
  primary key (tenant, name),
  unique (tenant, public_key)
);
create index ssh_keys_token on ssh_keys (token);

-- Each signature opens one session, for as long as there is anything that it could open: the rows stay until the sandbox
-- goes, also when the key does, for it may come back.
create table ssh_sessions (
  -- Of the credential.
  sha256 bytea primary key check (octet_length(sha256) = 32),
  -- Of what was signed.
  signed bytea not null unique check (octet_length(signed) = 32),
  tenant text not null,
  key bigint not null,
  sandbox text not null references sandboxes (id) on delete cascade,
  create_time timestamptz not null,
  expire_time timestamptz not null,
  closed boolean not null default false
);
create index ssh_sessions_key on ssh_sessions (key);
create index ssh_sessions_sandbox on ssh_sessions (sandbox);
