-- Sandboxes that are paused or asleep, what they were made from, snapshots, and nodes that were lost.

alter table sandboxes
  drop constraint sandboxes_state_check,
  drop constraint sandboxes_check1;
-- When a live sandbox came into its state.
alter table sandboxes rename column running_time to state_time;
alter table sandboxes
  add constraint sandboxes_state_check
    check (state in ('STARTING', 'RUNNING', 'PAUSED', 'SUSPENDED', 'STOPPING', 'ENDED')),
  add constraint sandboxes_state_time_check
    check (state_time is not null or state not in ('RUNNING', 'PAUSED', 'SUSPENDED')),
  -- The node's count of the changes of its state.
  add column state_change bigint not null default 0 check (state_change >= 0),
  add column timeout_action text not null default 'DELETE'
    check (timeout_action in ('DELETE', 'SUSPEND', 'NONE')),
  add column idle_timeout_ms bigint check (idle_timeout_ms > 0),
  -- Of its placeholders; 0 until the broker granted the first.
  add column generation bigint not null default 0 check (generation >= 0),
  -- What a copy was made of. A fork's snapshot is not kept.
  add column origin_sandbox text,
  add column origin_generation bigint,
  add column origin_snapshot text,
  add constraint sandboxes_origin_check
    check ((origin_sandbox is null) = (origin_generation is null)
      and (origin_sandbox is not null or origin_snapshot is null)),
  -- cofferdam.v1.StartReport.
  add column start_report bytea;

drop index sandboxes_expire;
drop index sandboxes_quota;
create index sandboxes_expire on sandboxes (expire_time)
  where state in ('RUNNING', 'PAUSED', 'SUSPENDED');
create index sandboxes_quota on sandboxes (tenant)
  where state in ('STARTING', 'RUNNING', 'PAUSED', 'SUSPENDED');

-- A request may make several things, and other things than sandboxes.
alter table create_requests add column made text[];
update create_requests set made = array[sandbox];
alter table create_requests alter column made set not null, drop column sandbox;
create index create_requests_made on create_requests using gin (made);

create table snapshots (
  id text primary key,
  tenant text not null,
  sandbox text not null,
  -- Of the sandbox's placeholders when it was taken.
  generation bigint not null check (generation >= 0),
  kind text not null check (kind in ('FULL', 'DISK')),
  template text not null,
  vcpus integer not null,
  memory_mib integer not null,
  disk_mib integer not null,
  labels jsonb not null,
  create_time timestamptz not null,
  node text not null,
  -- A fork's is its own affair and goes with it.
  listed boolean not null,
  bytes bigint not null check (bytes >= 0),
  version bigint not null check (version >= 1),
  state text not null check (state in ('CREATING', 'READY', 'DELETING', 'DELETED')),
  process uuid check ((process is not null) = (state = 'CREATING')),
  delete_time timestamptz check ((delete_time is not null) = (state = 'DELETED'))
);

create index snapshots_newest on snapshots (tenant, create_time desc, id desc)
  where listed and state <> 'DELETED';
create index snapshots_labels on snapshots using gin (labels jsonb_path_ops);
create index snapshots_unsettled on snapshots (state) where state in ('CREATING', 'DELETING');

alter table nodes
  -- LOSING and RETURNING: the broker has not been told yet.
  add column standing text not null default 'PRESENT'
    check (standing in ('PRESENT', 'LOSING', 'LOST', 'RETURNING')),
  -- When its stream ended; null while it is open.
  add column gone_time timestamptz,
  add column draining boolean not null default false;
