-- Volumes: disks that outlive sandboxes.

create table volumes (
  id text primary key,
  tenant text not null,
  name text not null,
  size_mib integer not null check (size_mib > 0),
  node text not null,
  -- What it began as a copy of; it may be gone since.
  source_id text,
  source_name text check ((source_name is null) = (source_id is null)),
  create_time timestamptz not null,
  state text not null check (state in ('MAKING', 'READY', 'REMOVING')),
  process uuid check ((process is not null) = (state = 'MAKING')),
  -- The one that has it. Set by what stores that one's record, cleared by what stores its end.
  sandbox text check (sandbox is null or state = 'READY')
);

-- One that goes gives its name up at once.
create unique index volumes_name on volumes (tenant, name) where state <> 'REMOVING';
create index volumes_unsettled on volumes (state) where state <> 'READY';
create index volumes_sandbox on volumes (sandbox) where sandbox is not null;
-- One that is being copied is not given to a sandbox.
create index volumes_source on volumes (source_id) where state = 'MAKING';

-- As the sandbox was created: directory, name and id of each.
alter table sandboxes
  add column volume_directories text[] not null default '{}',
  add column volume_names text[] not null default '{}',
  add column volume_ids text[] not null default '{}';
