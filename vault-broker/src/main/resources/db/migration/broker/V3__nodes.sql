-- Nodes whose sandboxes' grants are out of use, because they were declared lost.

create table node (
  instance  text primary key,
  suspended boolean not null default false
);
insert into node (instance) select distinct node from attachment;
alter table attachment add foreign key (node) references node;
create index on attachment (node) where not detached;
