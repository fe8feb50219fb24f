-- Appends rows in one call: the locks of the heads and of the chain are held from here to the commit, which may be sent together
-- with the call, and not while a broker thinks. `heads` are the rows' tenants in the order in which all lock them, `added` how many
-- rows each has; the rows are in the order of their tenants. The form that is hashed is AuditChain's.
create function audit_append(of_broker text, heads text[], added bigint[],
    tenants text[], times timestamptz[], types bigint[], sandboxes text[], events bytea[])
  returns void language plpgsql as $$
declare
  size      int := cardinality(events);
  -- The last position of the tenant before its rows.
  ends      bigint[];
  positions bigint[];
  hashes    bytea[];
  head      int := 1;
  at        bigint;
  name      bytea;
  first     bigint;
  link      bytea;
begin
  with taken as (
    insert into audit_head as h (tenant, position) select * from unnest(heads, added)
    on conflict (tenant) do update set position = h.position + excluded.position
    returning h.tenant, h.position)
  select array_agg(taken.position order by array_position(heads, taken.tenant)) into ends from taken;
  select number, hash into strict first, link from audit_chain where broker = of_broker for update;
  at := ends[1] - added[1];
  name := convert_to(heads[1], 'UTF8');
  for i in 1..size loop
    if tenants[i] <> heads[head] then
      head := head + 1;
      at := ends[head] - added[head];
      name := convert_to(heads[head], 'UTF8');
    end if;
    at := at + 1;
    link := sha256(link || int4send(length(name)) || name || int8send(at) || int8send(first + i)
      || int4send(length(events[i])) || events[i]);
    positions[i] := at;
    hashes[i] := link;
  end loop;
  insert into audit_event (tenant, position, broker, number, time, type, sandbox, event, hash)
    select row.tenant, row.position, of_broker, first + row.ordinal, row.time, row.type, row.sandbox, row.event, row.hash
    from unnest(tenants, positions, times, types, sandboxes, events, hashes)
      with ordinality as row (tenant, position, time, type, sandbox, event, hash, ordinal);
  update audit_chain set number = first + size, hash = link where broker = of_broker;
end
$$;
