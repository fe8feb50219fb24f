-- What a secret's placeholders look like, for as long as it is there; a length of 0 for the usual form.
alter table secret add column shape_prefix text not null default '';
alter table secret add column shape_length int not null default 0;
alter table secret add column shape_form text not null default 'USUAL';
