"""What a person does in Airflow's UI, over its REST API."""

import time
from dataclasses import dataclass
from datetime import datetime

import httpx

DAG_ID = "train_affect"
_ENDED = ("success", "failed")


@dataclass(frozen=True)
class Task:
    """One try of one task, mapped ones by their network."""

    name: str
    map_index: int
    network: str | None
    state: str | None
    queue: str
    host: str
    tries: int
    started: datetime | None
    ended: datetime | None


class AirflowApi:
    """A logged-in user of one API server."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)
        self._login = {"username": username, "password": password}

    def log_in(self) -> None:
        token = self._client.post("/auth/token", json=self._login)
        token.raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def close(self) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **body: object) -> dict:
        """Ask and try again while the server is away, as the UI does."""
        deadline = time.monotonic() + 90
        while True:
            try:
                answer = self._client.request(method, f"/api/v2/{path}", json=body or None)
                if answer.status_code < 500:
                    assert answer.is_success, answer.text
                    return answer.json() if answer.content else {}
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            assert time.monotonic() < deadline, f"{path} did not answer for 90 s"
            time.sleep(0.5)

    def is_parsed(self) -> bool:
        return self._client.get(f"/api/v2/dags/{DAG_ID}").status_code == 200

    def prepare(self) -> None:
        self.ask("PATCH", "pools/gpu", name="gpu", slots=1, include_deferred=False, description="one card") if any(
            pool["name"] == "gpu" for pool in self.ask("GET", "pools")["pools"]
        ) else self.ask("POST", "pools", name="gpu", slots=1, include_deferred=False, description="one card")
        self.ask("PATCH", f"dags/{DAG_ID}", is_paused=False)

    def trigger(self, **conf: object) -> str:
        return self.ask("POST", f"dags/{DAG_ID}/dagRuns", logical_date=None, conf=conf)["dag_run_id"]

    def read_state(self, run: str) -> str:
        return self.ask("GET", f"dags/{DAG_ID}/dagRuns/{run}")["state"]

    def list_tasks(self, run: str) -> list[Task]:
        found = self.ask("GET", f"dags/{DAG_ID}/dagRuns/{run}/taskInstances")["task_instances"]
        return [_describe(task) for task in found]

    def find_task(self, run: str, name: str) -> Task | None:
        return next((task for task in self.list_tasks(run) if task.name == name), None)

    def await_end(self, run: str, *, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while (state := self.read_state(run)) not in _ENDED:
            assert time.monotonic() < deadline, f"{run} is {state} after {seconds:.0f} s: {self.list_tasks(run)}"
            time.sleep(1)
        return state

    def read_log(self, run: str, task: Task, *, attempt: int = 1) -> str:
        place = f"dags/{DAG_ID}/dagRuns/{run}/taskInstances/{task.name}/logs/{attempt}?map_index={task.map_index}"
        return str(self.ask("GET", f"{place}&full_content=true")["content"])


def _describe(task: dict) -> Task:
    return Task(
        name=task["task_id"],
        map_index=task["map_index"],
        network=task.get("rendered_map_index"),
        state=task["state"],
        queue=task["queue"],
        host=task["hostname"],
        tries=task["try_number"],
        started=_read_time(task["start_date"]),
        ended=_read_time(task["end_date"]),
    )


def _read_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
