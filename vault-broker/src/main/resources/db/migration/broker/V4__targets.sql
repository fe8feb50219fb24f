-- What a secret's owner says of more than headers.

-- Nothing else than a placeholder may stand in the binding's targets.
alter table secret_binding add column required boolean not null default false;
