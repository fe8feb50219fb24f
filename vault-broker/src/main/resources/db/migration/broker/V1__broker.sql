-- The broker's own database. No column can hold a secret's value, a token, a ticket or a placeholder:
-- values stand here only as ciphertext of the sealed store, the rest only as SHA-256.

create table api_token (
  id          text primary key,
  tenant      text        not null,
  scopes      text[]      not null,
  sha256      bytea       not null unique check (length(sha256) = 32),
  create_time timestamptz not null
);

create table secret (
  id          uuid primary key,
  -- The present value's, in the store. Each write has its own.
  value       uuid        not null,
  tenant      text        not null,
  name        text        not null,
  version     bigint      not null check (version > 0),
  -- Rises with every change, narrowing included.
  revision    bigint      not null,
  weak        boolean     not null,
  create_time timestamptz not null,
  update_time timestamptz not null,
  unique (tenant, name)
);

create table secret_binding (
  secret      uuid     not null references secret on delete cascade,
  ordinal     smallint not null,
  hosts       text[]   not null check (cardinality(hosts) > 0),
  targets     text[]   not null check (cardinality(targets) > 0),
  occurrences smallint not null check (occurrences between 1 and 16),
  cleartext   boolean  not null,
  primary key (secret, ordinal)
);

-- Values that are in no secret's use any more and still have to be taken out of the store.
create table store_garbage (
  value   uuid primary key,
  tenant  text   not null,
  name    text   not null,
  version bigint not null,
  -- When it may go: not before every use that is under way has ended.
  due     timestamptz not null
);
create index on store_garbage (due);

create table sealed_value (
  value      uuid primary key,
  tenant     text   not null,
  name       text   not null,
  version    bigint not null,
  ciphertext bytea  not null
);

-- Tells at a start whether the keyset file is the one that this database was written with.
create table sealing_check (
  one        boolean primary key default true check (one),
  ciphertext bytea not null
);

create table lineage (
  id          text primary key,
  tenant      text        not null,
  -- DER
  certificate bytea       not null,
  sealed_key  bytea       not null,
  create_time timestamptz not null
);

create table sandbox (
  id              text primary key,
  tenant          text        not null,
  lineage         text        not null references lineage,
  generation      bigint      not null,
  -- The highest seen.
  epoch           bigint      not null,
  node            text        not null,
  -- cofferdam.v1.EgressPolicy
  policy          bytea       not null,
  policy_revision bigint      not null,
  create_time     timestamptz not null,
  -- Set once, for good.
  revoke_time     timestamptz
);

create table secret_grant (
  id                 text primary key,
  sandbox            text    not null references sandbox,
  generation         bigint  not null,
  -- No foreign key: a grant outlives its secret, as revoked.
  secret             uuid    not null,
  secret_name        text    not null,
  env                text    not null,
  placeholder_sha256 bytea   not null unique check (length(placeholder_sha256) = 32),
  revoked            boolean not null default false
);
create index on secret_grant (sandbox);
create index on secret_grant (secret) where not revoked;

create table attach_ticket (
  sha256      bytea primary key check (length(sha256) = 32),
  tenant      text        not null,
  sandbox     text        not null references sandbox,
  generation  bigint      not null,
  node        text        not null,
  epoch       bigint      not null,
  expire_time timestamptz not null,
  redeem_time timestamptz
);
create index on attach_ticket (sandbox);
create index on attach_ticket (expire_time);

create table gateway (
  instance     text primary key,
  -- The last change of any attachment here; taken under the row's lock, so commits are in its order.
  sequence     bigint not null default 0,
  acknowledged bigint not null default 0,
  process      text   not null default ''
);

create table attachment (
  gateway      text    not null references gateway,
  sandbox      text    not null references sandbox,
  slot_address text    not null,
  node         text    not null,
  epoch        bigint  not null,
  generation   bigint  not null,
  -- Of its beginning and of its last change. A detached row stays as the news of its end.
  since        bigint  not null,
  sequence     bigint  not null,
  detached     boolean not null default false,
  primary key (gateway, sandbox)
);
create index on attachment (gateway, sequence);
create index on attachment (sandbox) where not detached;
create unique index on attachment (gateway, slot_address) where not detached;

-- The last position given out, per tenant: its row lock makes positions rise in the order of commits,
-- so a reader that has seen one has seen all before it.
create table audit_head (
  tenant   text primary key,
  position bigint not null
);

create table audit_chain (
  broker text primary key,
  number bigint not null,
  hash   bytea  not null
);

create table audit_event (
  tenant   text        not null,
  position bigint      not null,
  broker   text        not null,
  number   bigint      not null,
  time     timestamptz not null,
  type     smallint    not null,
  sandbox  text        not null,
  -- cofferdam.v1.AuditEvent without its cursor
  event    bytea       not null,
  -- SHA-256 over the hash before it in this broker's chain and this row
  hash     bytea       not null,
  primary key (tenant, position),
  unique (broker, number)
);
create index on audit_event (tenant, sandbox, position);

create function audit_event_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'audit_event is append-only';
end
$$;
create trigger append_only before update or delete on audit_event
  for each row execute function audit_event_is_append_only();
create trigger append_only_whole before truncate on audit_event
  for each statement execute function audit_event_is_append_only();

-- How far each gateway's spool was taken over.
create table spool (
  gateway text   not null,
  id      text   not null,
  number  bigint not null,
  primary key (gateway, id)
);
