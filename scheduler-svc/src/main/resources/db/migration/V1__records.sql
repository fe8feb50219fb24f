-- Everything the scheduler must not forget. No value of a secret, no token, no placeholder and no environment is here.

create table nodes (
  name text primary key,
  address text not null,
  vcpus integer not null,
  memory_mib integer not null,
  disk_mib integer not null,
  slots integer not null,
  templates text[] not null,
  isolation text not null,
  hypervisor text not null,
  slot_prefix text not null,
  register_time timestamptz not null
);

create table tokens (
  id text primary key,
  tenant text not null,
  scopes text[] not null,
  -- SHA-256 of the token; the token itself is random enough that no slow hash is needed.
  sha256 bytea not null unique check (octet_length(sha256) = 32),
  create_time timestamptz not null
);

create table sandboxes (
  id text primary key,
  tenant text not null,
  template text not null,
  vcpus integer not null,
  memory_mib integer not null,
  disk_mib integer not null,
  labels jsonb not null,
  create_time timestamptz not null,
  expire_time timestamptz,
  node text not null,
  epoch bigint not null check (epoch >= 1),
  version bigint not null check (version >= 1),
  -- cofferdam.v1.EgressPolicy, kept as the broker took it.
  policy bytea not null,
  policy_revision bigint not null,
  secret_names text[] not null,
  secret_envs text[] not null,
  isolation text not null,
  state text not null check (state in ('STARTING', 'RUNNING', 'STOPPING', 'ENDED')),
  -- Facts of one state each.
  process uuid check ((process is not null) = (state = 'STARTING')),
  running_time timestamptz check (running_time is not null or state <> 'RUNNING'),
  end_cause text check ((end_cause is not null) = (state in ('STOPPING', 'ENDED'))),
  end_message text check ((end_message is not null) = (state in ('STOPPING', 'ENDED'))),
  end_time timestamptz check ((end_time is not null) = (state = 'ENDED'))
);

create index sandboxes_newest on sandboxes (tenant, create_time desc, id desc);
create index sandboxes_labels on sandboxes using gin (labels jsonb_path_ops);
create index sandboxes_node on sandboxes (node) where state <> 'ENDED';
create index sandboxes_expire on sandboxes (expire_time) where state = 'RUNNING';
create index sandboxes_unsettled on sandboxes (state) where state in ('STARTING', 'STOPPING');
create index sandboxes_quota on sandboxes (tenant) where state in ('STARTING', 'RUNNING');

create table create_requests (
  tenant text not null,
  request_id text not null,
  fingerprint bytea not null,
  sandbox text not null,
  create_time timestamptz not null,
  primary key (tenant, request_id)
);

create index create_requests_sandbox on create_requests (sandbox);

-- Writers hold an advisory lock of the tenant from the insert to the commit, so within a tenant ids become visible in
-- their order and a watcher that has seen one can never be passed by a smaller one.
create table sandbox_events (
  id bigint generated always as identity primary key,
  tenant text not null,
  sandbox text not null,
  kind text not null,
  message text not null,
  time timestamptz not null
);

create index sandbox_events_tenant on sandbox_events (tenant, id);
create index sandbox_events_sandbox on sandbox_events (tenant, sandbox, id);
