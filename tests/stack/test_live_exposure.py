"""R48 on the running stack: who can reach what, as whom everything runs, and which logins work."""

import json
import stat

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from affect_tasks.stack.engine import run
from affect_tasks.stack.secret_file import SECRETS, WORKER_SECRETS

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]

WORKERS = ("worker", "gpu-worker-cpu")
# What the images and the projects of these services come with.
DEFAULT_LOGINS = [("admin", "admin"), ("airflow", "airflow"), ("admin", "password1234"), ("minioadmin", "minioadmin")]


@pytest.fixture(scope="module")
def inspected(live) -> dict[str, dict]:
    """What Docker says of each container, ended ones too, by service."""
    names = [one.name for one in live.stack.list_containers()]
    found = json.loads(run(["docker", "inspect", *names]).stdout)
    return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}


def read_environment(container: dict) -> dict[str, str]:
    return dict(line.split("=", 1) for line in container["Config"]["Env"])


def test_ports_are_published_on_this_machine_alone(inspected):
    addresses = {
        binding["HostIp"]
        for one in inspected.values()
        for bindings in one["HostConfig"]["PortBindings"].values()
        for binding in bindings
    }
    assert addresses == {"127.0.0.1"}


def test_no_process_runs_as_root(live, inspected):
    for one in inspected.values():
        assert one["Config"]["User"].split(":")[0] not in {"", "0", "root"}, one["Name"]
        if one["State"]["Running"]:
            users = run(["docker", "top", one["Id"], "-o", "uid"]).stdout.split()[1:]
            assert set(users) == {
                one["Config"]["User"].split(":")[0].replace("affect", "50000").replace("mlflow", "50001")
            }


def test_root_folders_are_read_only_and_capabilities_dropped(inspected):
    for one in inspected.values():
        host = one["HostConfig"]
        assert host["ReadonlyRootfs"], one["Name"]
        assert host["CapDrop"] == ["ALL"], one["Name"]
        assert not host["CapAdd"], one["Name"]
        assert not host["Privileged"], one["Name"]
        assert "no-new-privileges:true" in host["SecurityOpt"], one["Name"]


def test_memory_processor_processes_and_logs_are_limited(inspected):
    for one in inspected.values():
        host = one["HostConfig"]
        assert host["Memory"] > 0, one["Name"]
        assert host["NanoCpus"] > 0, one["Name"]
        assert host["PidsLimit"] > 0, one["Name"]
        assert {"max-size", "max-file"} <= set(host["LogConfig"]["Config"]), one["Name"]


def test_the_secret_files_are_private_and_the_workers_token_holds_its_share_alone(live):
    token = live.secret_file.with_name("worker.env")
    for path in (live.secret_file, token):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = token.read_text()
    for name in SECRETS:
        assert (live.secret(name) in text) == (name in WORKER_SECRETS), name


def test_workers_know_neither_the_database_nor_what_signs_and_encrypts(live, inspected):
    hidden = [live.secret(name) for name in SECRETS if name not in WORKER_SECRETS]
    for service in WORKERS:
        text = json.dumps(read_environment(inspected[service]))
        assert "postgresql" not in text
        assert not [secret for secret in hidden if secret in text]


def test_workers_cannot_reach_the_database(live):
    address = live.execute("postgres", "hostname", "-i").strip()
    probe = f"import socket; socket.create_connection(('{address}', 5432), timeout=3)"
    assert live.execute("airflow-api", "python", "-c", probe) == ""
    done = live.stack.compose("exec", "-T", "worker", "python", "-c", probe, capture=True)
    assert "Error" in done.stderr


def test_each_role_sees_its_own_database_alone(live):
    statement = "SELECT 1"
    for role, database, allowed in (
        ("airflow", "airflow", True),
        ("airflow", "mlflow", False),
        ("mlflow", "airflow", False),
    ):
        url = f"postgresql://{role}:{live.secret(f'{role.upper()}_DB_PASSWORD')}@127.0.0.1/{database}"
        done = live.stack.compose("exec", "-T", "postgres", "psql", url, "-tAc", statement, capture=True)
        assert (done.returncode == 0) == allowed, f"{role} in {database}: {done.stderr}"


@pytest.mark.parametrize(("name", "password"), DEFAULT_LOGINS)
def test_no_default_login_works(live, name, password):
    login = {"username": name, "password": password}
    assert httpx.post(f"{live.url('AIRFLOW_PORT')}/auth/token", json=login).status_code == 401
    search = f"{live.url('MLFLOW_PORT')}/api/2.0/mlflow/experiments/search?max_results=1"
    assert httpx.get(search, auth=(name, password)).status_code == 401
    client = connect(live, name, password)
    with pytest.raises(ClientError, match=r"InvalidAccessKeyId|SignatureDoesNotMatch"):
        client.list_buckets()


def test_nothing_answers_without_a_login(live):
    assert httpx.get(f"{live.url('AIRFLOW_PORT')}/api/v2/dags").status_code == 401
    assert httpx.get(f"{live.url('MLFLOW_PORT')}/api/2.0/mlflow/experiments/search?max_results=1").status_code == 401
    assert httpx.get(live.url("S3_PORT")).status_code == 403
    assert "NOAUTH" in live.execute("broker", "sh", "-c", "$(command -v valkey-cli || command -v redis-cli) ping 2>&1")


@pytest.mark.parametrize("host", ["evil", "10.evil.example", "127.0.0.1.evil.example", "10.0.0.5:5000"])
def test_mlflow_refuses_hosts_that_it_does_not_know(live, host):
    search = f"{live.url('MLFLOW_PORT')}/api/2.0/mlflow/experiments/search?max_results=1"
    admin = ("admin", live.secret("MLFLOW_ADMIN_PASSWORD"))
    assert httpx.get(search, auth=admin).status_code == 200
    assert httpx.get(search, auth=admin, headers={"Host": host}).status_code == 403


def test_a_new_user_of_mlflow_sees_nothing(live):
    url, admin = live.url("MLFLOW_PORT"), ("admin", live.secret("MLFLOW_ADMIN_PASSWORD"))
    login = {"username": "visitor", "password": "a-visitors-password"}
    assert httpx.post(f"{url}/api/2.0/mlflow/users/create", json=login, auth=admin).is_success
    visitor = (login["username"], login["password"])
    made = httpx.post(f"{url}/api/2.0/mlflow/experiments/create", json={"name": "private"}, auth=admin).json()
    place = f"{url}/api/2.0/mlflow/experiments/get?experiment_id={made['experiment_id']}"
    assert httpx.get(place, auth=admin).status_code == 200
    assert httpx.get(place, auth=visitor).status_code == 403


def test_the_key_of_serving_neither_writes_nor_lists_others(live):
    serving = connect(live, live.secret("S3_SERVING_KEY"), live.secret("S3_SERVING_SECRET"))
    for ask in (
        lambda: serving.list_objects_v2(Bucket="affect"),
        lambda: serving.list_objects_v2(Bucket="affect-mlflow"),
        lambda: serving.put_object(Bucket="affect-mlflow", Key="x/models/y", Body=b""),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            ask()


def test_make_up_refuses_a_weak_secret(live):
    text = live.secret_file.read_text()
    weak = text.replace(live.secret("AIRFLOW_ADMIN_PASSWORD"), "airflow")
    try:
        live.secret_file.write_text(weak)
        done = live.make("up")
    finally:
        live.secret_file.write_text(text)
    assert done.returncode == 1
    assert "AIRFLOW_ADMIN_PASSWORD has 7 characters of at least 20" in done.stderr


def connect(live, key: str, secret: str):
    return boto3.client(
        "s3",
        endpoint_url=live.url("S3_PORT"),
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )
