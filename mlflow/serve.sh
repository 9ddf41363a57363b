#!/bin/sh
# Serve MLflow: runs and logins in Postgres, artifacts through the server into S3.
set -eu
umask 077
sed "s|@DATABASE_URI@|$MLFLOW_BACKEND_STORE_URI|" /etc/mlflow/basic_auth.ini.template >/tmp/basic_auth.ini
export MLFLOW_AUTH_CONFIG_PATH=/tmp/basic_auth.ini
exec mlflow server --app-name basic-auth --host 0.0.0.0 --port 5000 --workers "${MLFLOW_WORKERS:-1}" \
  --artifacts-destination "$MLFLOW_ARTIFACTS_DESTINATION" --allowed-hosts "$MLFLOW_ALLOWED_HOSTS"
