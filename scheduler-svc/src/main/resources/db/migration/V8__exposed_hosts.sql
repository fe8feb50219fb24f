-- Host names that stand for a port: of keys for everybody alone, and each for one port. The last 20 characters are the sandbox's.

alter table port_keys
  add column host text unique,
  add check (host is null or (public and host ~ '^[a-z2-7]{12}-[a-z2-7]{20}$' and right(host, 20) = right(sandbox, 20)));
