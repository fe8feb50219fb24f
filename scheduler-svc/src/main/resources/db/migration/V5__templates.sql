-- Tenants' templates. The operator's are the nodes' and on no record here.

create table templates (
  id text primary key,
  tenant text not null,
  name text not null,
  -- cofferdam.v1.TemplateSource.
  source bytea not null,
  vcpus integer not null,
  memory_mib integer not null,
  disk_mib integer not null,
  digest text not null,
  state text not null check (state in ('MAKING', 'READY', 'FAILED', 'DELETING')),
  message text not null,
  create_time timestamptz not null
);

-- A name is free again at once; what was made is removed at the nodes by its id.
create unique index templates_name on templates (tenant, name) where state <> 'DELETING';
create index templates_unsettled on templates (state) where state in ('MAKING', 'DELETING');
