-- Templates that are built in a sandbox, and creates of templates under a request id.

alter table templates
  -- The id of the sandbox, chosen before it is made; empty: it is not built in one.
  add column builder text not null default '',
  -- Empty: not idempotent.
  add column request_id text not null default '',
  -- SHA-256 in hex of the request without its id.
  add column request_fingerprint text not null default '';

create unique index templates_request on templates (tenant, request_id) where request_id <> '' and state <> 'DELETING';
