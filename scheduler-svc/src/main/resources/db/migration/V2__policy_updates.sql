-- Updates of policies that were begun at the broker and whose outcome is not in `sandboxes` yet.
create table policy_updates (
  sandbox text not null,
  begin_time timestamptz not null,
  primary key (sandbox, begin_time)
);

create index policy_updates_time on policy_updates (begin_time);
