-- How often and how long each sandbox may use a secret, as its owner says; without a row: no limit.
create table secret_limit (
  secret      uuid   primary key references secret on delete cascade,
  -- 0: no cap.
  uses        bigint not null check (uses >= 0),
  rate        int    not null check (rate >= 0),
  per_ms      bigint not null check (per_ms >= 0),
  expire_time timestamptz
);

-- What each grant has used of it.
create table secret_use (
  secret_grant text             primary key references secret_grant on delete cascade,
  uses         bigint           not null,
  -- Of the token bucket, at that time. Negative: it is full.
  tokens       double precision not null,
  time         timestamptz      not null
);
