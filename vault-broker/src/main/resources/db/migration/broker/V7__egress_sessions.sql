-- Egress sessions: programs in no sandbox, known at explicit proxies by a token.

alter table sandbox add column proxy_token_sha256 bytea unique check (length(proxy_token_sha256) = 32);
alter table sandbox add column expire_time timestamptz;
alter table sandbox add check ((proxy_token_sha256 is null) = (expire_time is null));
create index on sandbox (expire_time) where expire_time is not null and revoke_time is null;

-- Where programs reach the gateway's explicit proxy; empty where it has none.
alter table gateway add column proxy_address text not null default '';
alter table gateway add column proxy_tls boolean not null default false;

-- In the place of a node, for sessions are on none.
insert into node (instance) values ('explicit-proxy') on conflict do nothing;

-- Whether the policy is in mode LEARN, for each use of a secret asks that.
alter table sandbox add column learns boolean not null default false;
