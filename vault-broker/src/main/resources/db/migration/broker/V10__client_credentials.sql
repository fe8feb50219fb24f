-- How access tokens are fetched with a secret: cofferdam.v1.ClientCredentials, empty for none.
alter table secret add column oauth bytea not null default '';
