#!/bin/sh
# One role and one database for each service; a role sees no other database. May be repeated: a password that was
# changed in .env is set anew.
set -eu
export PGHOST=postgres PGUSER=postgres PGDATABASE=postgres
for name in airflow mlflow; do
  case $name in airflow) password=$AIRFLOW_DB_PASSWORD;; mlflow) password=$MLFLOW_DB_PASSWORD;; esac
  psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet -v name="$name" -v password="$password" <<'SQL'
SELECT format('CREATE ROLE %I', :'name') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet -c 'REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC'
