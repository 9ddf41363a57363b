#!/bin/sh
# One role and one database for each service; a role sees no other database.
set -eu
for name in airflow mlflow; do
  case $name in airflow) password=$AIRFLOW_DB_PASSWORD;; mlflow) password=$MLFLOW_DB_PASSWORD;; esac
  psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$POSTGRES_USER" -d postgres -v name="$name" -v password="$password" <<'SQL'
CREATE ROLE :"name" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$POSTGRES_USER" -d postgres -c 'REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC'
