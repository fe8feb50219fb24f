-- Requests that wait for somebody's word, and what became of them.
create table approval (
  id          text primary key,
  tenant      text        not null,
  sandbox     text        not null references sandbox on delete cascade,
  -- The instance whose call waits.
  broker      text        not null,
  -- cofferdam.v1.Approval, as it was asked for.
  request     bytea       not null,
  -- By which another request is the same, SHA-256.
  kind        bytea       not null,
  -- cofferdam.v1.ApprovalState
  state       int         not null,
  -- The one call that waited has gone on with it.
  taken       boolean     not null default false,
  create_time timestamptz not null,
  expire_time timestamptz not null
);
create index on approval (tenant, create_time) where state = 1;
create index on approval (sandbox);
create index on approval (broker) where state = 1;
create index on approval (expire_time);

-- What may go on without waiting, for a while.
create table standing_approval (
  sandbox     text        not null references sandbox on delete cascade,
  kind        bytea       not null,
  approval    text        not null,
  expire_time timestamptz not null,
  primary key (sandbox, kind)
);
create index on standing_approval (expire_time);
