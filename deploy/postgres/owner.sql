-- For a PostgreSQL of your own (15 to 18), once, as its administrator:
--   psql -v password="'…'" -f owner.sql
-- The owner creates the schemas and one role per service (`arpilot migrate`); the services log in as those roles.
create role arpilot login createrole password :password;
create database arpilot owner arpilot encoding 'UTF8' template template0;
