"""Whether one of Airflow's services is well, for the container's health check.

The scheduler answers for itself; the triggerer and the DAG processor have no port, so the API server is asked when
it last heard of them. `airflow jobs check` would spend ten seconds of processor time on each.
"""

import json
import sys
import urllib.error
import urllib.request

_ADDRESSES = {
    "api": "http://127.0.0.1:8080/api/v2/monitor/health",
    "scheduler": "http://127.0.0.1:8974/health",
    "dag_processor": "http://airflow-api:8080/api/v2/monitor/health",
    "triggerer": "http://airflow-api:8080/api/v2/monitor/health",
}
# What the API server says of each; the scheduler says all by its status, 200 or 503.
_PARTS = {"api": "metadatabase", "dag_processor": "dag_processor", "triggerer": "triggerer"}


def is_healthy(name: str, answer: str) -> bool:
    """Tell from the body of an answer whether the service is well."""
    if name not in _PARTS:
        return True
    return (json.loads(answer).get(_PARTS[name]) or {}).get("status") == "healthy"


def main(name: str) -> int:
    """Return the exit status that a health check expects: 0 or 1."""
    try:
        with urllib.request.urlopen(_ADDRESSES[name], timeout=8) as response:  # noqa: S310 - our own addresses
            return 0 if is_healthy(name, response.read().decode()) else 1
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        print(f"{name}: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
