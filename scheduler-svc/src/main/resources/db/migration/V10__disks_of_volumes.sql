-- Volumes that can be a sandbox's own disk, and disks that begin as a copy of one.

-- The template that it was made for, as tenants and as nodes know it. Another one of that name has another image.
alter table volumes
  add column template text,
  add column template_offer text check ((template_offer is null) = (template is null));

-- While a sandbox starts whose disk begins as a copy of a volume, no sandbox gets that volume.
create table volume_copies (
  sandbox text primary key,
  volume text not null
);
create index volume_copies_volume on volume_copies (volume);
