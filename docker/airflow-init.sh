#!/bin/sh
# Prepare Airflow's database, the administrator and the pool of GPU workers; may be repeated.
set -eu
airflow db migrate
airflow users create --role Admin --username "$AIRFLOW_ADMIN_NAME" --password "$AIRFLOW_ADMIN_PASSWORD" \
  --firstname Stack --lastname Administrator --email "$AIRFLOW_ADMIN_NAME@localhost"
airflow pools set gpu "$GPU_WORKERS" "One slot per GPU worker"
