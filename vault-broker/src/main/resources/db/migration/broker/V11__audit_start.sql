-- How far each chain was forgotten: it goes on from here as it went on from its beginning.
create table audit_start (
  broker text primary key,
  -- of the last row that was forgotten
  number bigint not null,
  hash   bytea  not null
);

insert into audit_start select broker, 0, decode(repeat('00', 32), 'hex') from audit_chain;

create or replace function audit_event_is_append_only() returns trigger language plpgsql as $$
begin
  -- What is older than the record is kept for was taken out of its chain in the same transaction.
  if tg_op = 'DELETE' and exists (
      select from audit_start where broker = old.broker and number >= old.number) then
    return old;
  end if;
  raise exception 'audit_event is append-only';
end
$$;
