"""The services of the stack with the settings that the stack has: own keys, own roles, one broker, two queues."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg2
import redis

from local_stack.processes import LOOPBACK, Server, describe_user, find_port, own, wait_until
from local_stack.programs import find_program

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
PIPELINE, ARTIFACTS = "affect-pipeline", "affect-mlflow"


class Stack:
    """All services, started by `start`; each is a `Server` in `servers` and can be killed by itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: find_port() for name in ("s3", "console", "redis", "postgres", "mlflow", "airflow")}
        self.secrets = {
            name: secrets.token_hex(16)
            for name in (
                "s3-root", "s3-pipeline", "s3-mlflow", "s3-serving", "redis", "postgres", "airflow-db", "mlflow-db",
                "airflow-user", "mlflow-admin", "mlflow-user", "flask",
            )
        }  # fmt: skip
        self.jwt = secrets.token_hex(64)
        self.servers: dict[str, Server] = {}

    def url(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[name]}"

    def start(self) -> None:
        self.start_stores()
        self.start_mlflow()
        self.migrate_airflow()
        self.start_airflow()

    def stop(self) -> None:
        stores = ("s3", "redis", "postgres")
        for server in self.servers.values():
            if server.name not in stores and server.lives:
                server.send(signal.SIGTERM, leader_only=True)
        for server in reversed(self.servers.values()):
            server.stop(number=signal.SIGINT if server.name == "postgres" else signal.SIGTERM)

    # Where bytes lie.

    def start_stores(self) -> None:
        self._start_s3()
        self._start_redis()
        self._start_postgres()
        self.prepare_store()

    def prepare_store(self) -> str:
        return self._run([BIN / "affect", "prepare-store"], {**self.describe_package("setup"), **self._admin()})

    def _start_s3(self) -> None:
        data = self._make_folder("s3")
        root = {"MINIO_ROOT_USER": "root-key", "MINIO_ROOT_PASSWORD": self.secrets["s3-root"]}
        self.launch(
            "s3",
            [find_program("minio"), "server", data, "--address", f"{LOOPBACK}:{self.ports['s3']}",
             "--console-address", f"{LOOPBACK}:{self.ports['console']}"],
            {**root, "MINIO_BROWSER": "off"},
        )  # fmt: skip
        self.await_answer("s3", "/minio/health/live", seconds=60)

    def _start_redis(self) -> None:
        options = f"--bind {LOOPBACK} --port {self.ports['redis']} --save '' --requirepass {self.secrets['redis']}"
        data = self._make_folder("redis")
        self.launch("redis", [find_program("redis-server"), *options.replace("''", "").split(), "--dir", data])
        client = redis.Redis(LOOPBACK, self.ports["redis"], password=self.secrets["redis"])
        with client:
            wait_until("Redis", lambda: _answers(client.ping, redis.ConnectionError), seconds=30)

    def _start_postgres(self) -> None:
        user = "nobody" if os.geteuid() == 0 else None
        data, programs = self._make_folder("postgres", user), find_program("postgres").parent
        password = self.folder / "postgres-password"
        password.write_text(self.secrets["postgres"])
        password.chmod(0o644)
        options = ["-U", "postgres", "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--no-locale"]
        self._run([programs / "initdb", "-D", data, *options], {}, user=user)
        password.unlink()
        settings = {"port": self.ports["postgres"], "unix_socket_directories": "", "listen_addresses": LOOPBACK}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.launch("postgres", [programs / "postgres", "-D", data, *options], user=user)
        wait_until("Postgres", lambda: _answers(self._execute, psycopg2.OperationalError), seconds=60)
        for name in ("airflow", "mlflow"):
            self._execute(f"CREATE ROLE {name} LOGIN PASSWORD '{self.secrets[f'{name}-db']}'")
            self._execute(f"CREATE DATABASE {name} OWNER {name}")

    def _execute(self, statement: str = "SELECT 1") -> bool:
        place = f"postgresql://postgres:{self.secrets['postgres']}@{LOOPBACK}:{self.ports['postgres']}/postgres"
        connection = psycopg2.connect(place)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()
        return True

    # MLflow, which alone holds the key of its bucket.

    def start_mlflow(self) -> None:
        host = f"{LOOPBACK}:{self.ports['mlflow']}"
        config = self.folder / "basic-auth.ini"
        config.write_text(
            "[mlflow]\ndefault_permission = NO_PERMISSIONS\nadmin_username = admin\nauth_cache_ttl_seconds = 60\n"
            f"database_uri = sqlite:///{self.folder / 'basic-auth.db'}\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        self.launch(
            "mlflow",
            [BIN / "mlflow", "server", "--host", LOOPBACK, "--port", str(self.ports["mlflow"]), "--workers", "1",
             "--backend-store-uri", self._name_database("mlflow"), "--artifacts-destination", f"s3://{ARTIFACTS}",
             "--app-name", "basic-auth", "--allowed-hosts", host],
            {
                "MLFLOW_S3_ENDPOINT_URL": self.url("s3"),
                "AWS_ACCESS_KEY_ID": "mlflow-key",
                "AWS_SECRET_ACCESS_KEY": self.secrets["s3-mlflow"],
                "AWS_DEFAULT_REGION": "us-east-1",
                "MLFLOW_AUTH_CONFIG_PATH": str(config),
                "MLFLOW_AUTH_ADMIN_PASSWORD": self.secrets["mlflow-admin"],
                "MLFLOW_FLASK_SERVER_SECRET_KEY": self.secrets["flask"],
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
        )  # fmt: skip

    def add_mlflow_user(self) -> None:
        self.await_answer("mlflow", "/health", seconds=240)
        made = httpx.post(
            f"{self.url('mlflow')}/api/2.0/mlflow/users/create",
            json={"username": "pipeline", "password": self.secrets["mlflow-user"]},
            auth=("admin", self.secrets["mlflow-admin"]),
        )
        made.raise_for_status()

    # Airflow: the scheduler's side knows the database, the workers do not.

    def migrate_airflow(self) -> None:
        environment = self.describe_airflow("setup")
        self._run([BIN / "airflow", "db", "migrate"], environment)
        self._run(
            [BIN / "airflow", "users", "create", "--username", "tester", "--password", self.secrets["airflow-user"],
             "--role", "Admin", "--email", "tester@example.org", "--firstname", "T", "--lastname", "R"],
            environment,
        )  # fmt: skip

    def start_airflow(self) -> None:
        for name in ("api-server", "scheduler", "dag-processor"):
            self.launch(name, [BIN / "airflow", name], self.describe_airflow(name))
        self.add_worker("default", queue="default", concurrency=2)
        self.add_worker("gpu", queue="gpu", concurrency=1)
        self.add_mlflow_user()
        self.await_answer("airflow", "/api/v2/monitor/health", seconds=180)

    def add_worker(self, name: str, *, queue: str, concurrency: int) -> Server:
        """Start a worker with a home of its own, as on a machine of its own."""
        command = ["celery", "worker", "--queues", queue, "--concurrency", str(concurrency), "--skip-serve-logs"]
        hostname = ["--celery-hostname", f"{name}@{LOOPBACK}"]
        return self.launch(f"worker-{name}", [BIN / "airflow", *command, *hostname], self.describe_worker(name))

    def forget_logs(self, name: str) -> None:
        """Remove a worker's own copies of its logs, which die with its disk."""
        shutil.rmtree(self.folder / f"airflow-{name}" / "logs")

    def describe_airflow(self, name: str) -> dict[str, str]:
        return {
            **self.describe_worker(name),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self._name_database("airflow"),
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": str(self.ports["airflow"]),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": self.jwt,
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__SCHEDULER__PARSING_PROCESSES": "1",
        }

    def describe_worker(self, name: str) -> dict[str, str]:
        broker = f"redis://:{self.secrets['redis']}@{LOOPBACK}:{self.ports['redis']}"
        return {
            **self.describe_package(name),
            "AIRFLOW_HOME": str(self._make_folder(f"airflow-{name}")),
            "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url('airflow')}/execution/",
            "AIRFLOW__API__SECRET_KEY": self.secrets["flask"],
            "AIRFLOW__CELERY__BROKER_URL": f"{broker}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"{broker}/1",
            "AIRFLOW__OPERATORS__DEFAULT_QUEUE": "default",
            "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "24",
            "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
            "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{PIPELINE}/logs",
            "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "logs",
            "AIRFLOW_CONN_LOGS": f"aws://pipeline-key:{self.secrets['s3-pipeline']}@/?region_name=us-east-1"
            f"&endpoint_url={quote(self.url('s3'), safe='')}",
        }

    # What the package reads, on any machine of the stack.

    def describe_package(self, name: str) -> dict[str, str]:
        return {
            "AFFECT_HOME": str(self._make_folder(f"home-{name}")),
            "AFFECT_STORAGE_URL": f"s3://{PIPELINE}/store",
            "AFFECT_S3_ENDPOINT_URL": self.url("s3"),
            "AFFECT_S3_ACCESS_KEY_ID": "pipeline-key",
            "AFFECT_S3_SECRET_ACCESS_KEY": self.secrets["s3-pipeline"],
            "AFFECT_TRACKING_URI": self.url("mlflow"),
            "MLFLOW_TRACKING_USERNAME": "pipeline",
            "MLFLOW_TRACKING_PASSWORD": self.secrets["mlflow-user"],
        }

    def _admin(self) -> dict[str, str]:
        return {
            "AFFECT_ARTIFACTS_URL": f"s3://{ARTIFACTS}",
            "AFFECT_S3_ADMIN_ACCESS_KEY_ID": "root-key",
            "AFFECT_S3_ADMIN_SECRET_ACCESS_KEY": self.secrets["s3-root"],
            "AFFECT_S3_MLFLOW_ACCESS_KEY_ID": "mlflow-key",
            "AFFECT_S3_MLFLOW_SECRET_ACCESS_KEY": self.secrets["s3-mlflow"],
            "AFFECT_S3_SERVING_ACCESS_KEY_ID": "serving-key",
            "AFFECT_S3_SERVING_SECRET_ACCESS_KEY": self.secrets["s3-serving"],
        }

    def launch(
        self, name: str, command: list[str | Path], environment: dict[str, str] | None = None, user: str | None = None
    ) -> Server:
        log = self.folder / f"{name}.log"
        self.servers[name] = Server(name, command, {**_inherit(), **(environment or {})}, log, user)
        self.servers[name].start()
        return self.servers[name]

    def await_answer(self, name: str, path: str, *, seconds: float) -> float:
        probe = lambda: _answers(lambda: httpx.get(self.url(name) + path).status_code == 200, httpx.HTTPError)  # noqa: E731 - one probe
        return wait_until(f"{name}{path}", probe, seconds=seconds, servers=list(self.servers.values()))

    def _run(self, command: list[str | Path], environment: dict[str, str], user: str | None = None) -> str:
        done = subprocess.run(
            [str(word) for word in command],
            env={**_inherit(), **environment},
            check=False,
            capture_output=True,
            text=True,
            **describe_user(user),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _name_database(self, name: str) -> str:
        return f"postgresql+psycopg2://{name}:{self.secrets[f'{name}-db']}@{LOOPBACK}:{self.ports['postgres']}/{name}"

    def _make_folder(self, name: str, user: str | None = None) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        own(folder, user)
        return folder


def make_folder() -> Path:
    """Make the folder of a stack; Postgres, another user, has to pass through it."""
    folder = Path(tempfile.mkdtemp(prefix="affect-services-"))
    folder.chmod(0o755)
    return folder


def _inherit() -> dict[str, str]:
    """Return this process's environment without what would leak from it into the services."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AFFECT_", "AIRFLOW", "AWS_"))}  # noqa: TID251 - for children
    return {**kept, "PATH": os.pathsep.join([str(BIN), kept.get("PATH", "")])}


def _answers(probe, error: type[Exception]) -> bool:
    try:
        return bool(probe())
    except error:
        return False
