-- Copies of sandboxes: what their grants take over.

alter table secret add column fork_mode text not null default 'drop' check (fork_mode in ('drop', 'inherit'));

-- The hashes of placeholders that a copy took over. They are part of its grant: held, revoked and told with it.
alter table secret_grant add column inherited bytea[] not null default '{}' check (cardinality(inherited) <= 256);
create index on secret_grant (secret) where inherited <> '{}';
