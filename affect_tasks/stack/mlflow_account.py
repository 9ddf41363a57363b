"""Make MLflow's user `pipeline`, as whom the workers log in: python -m affect_tasks.stack.mlflow_account."""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping

NAME = "pipeline"


def ensure_account(url: str, *, admin: tuple[str, str], password: str) -> str:
    """Make the user, or give the one that is there this password; what it owns stays.

    Returns:
        What was done.
    """
    users = f"{url}/api/2.0/mlflow/users"
    if _call(f"{users}/get?username={NAME}", admin) is None:
        _call(f"{users}/create", admin, {"username": NAME, "password": password}, method="POST")
        return f"MLflow's user {NAME}: made"
    _call(f"{users}/update-password", admin, {"username": NAME, "password": password}, method="PATCH")
    return f"MLflow's user {NAME}: there"


def _call(
    url: str, login: tuple[str, str], body: Mapping[str, str] | None = None, *, method: str = "GET"
) -> object | None:
    """Call MLflow; None where it says that there is no such thing."""
    token = base64.b64encode(":".join(login).encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - the address is compose.yaml's
        url,
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - as above
            return json.loads(response.read() or b"{}")
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def main(environment: Mapping[str, str]) -> None:
    """Do it with the addresses and passwords of the environment."""
    admin = environment["MLFLOW_ADMIN_NAME"], environment["MLFLOW_ADMIN_PASSWORD"]
    try:
        print(ensure_account(environment["MLFLOW_URL"], admin=admin, password=environment["MLFLOW_PIPELINE_PASSWORD"]))
    except urllib.error.HTTPError as error:
        sys.exit(
            f"MLflow must let its administrator in; it answers {error.code}. The password in docker/.env counts on the "
            "first start alone: docs/operations.md says how to change it later."
        )


if __name__ == "__main__":
    main(os.environ)
