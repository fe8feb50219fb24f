-- How requests are signed with a secret: cofferdam.v1.HmacSignature, empty for none.
alter table secret_binding add column hmac bytea not null default '';
