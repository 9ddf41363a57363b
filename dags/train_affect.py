"""# train_affect: from a folder of labelled images to a champion

**Trigger** it from the form; every field has a default, and `demo` as the images draws faces. With several workers,
give images as `s3://bucket/prefix`: every worker reaches that.

| task | makes | when it fails |
|---|---|---|
| check | the run in MLflow | the message names the parameter, folder or service to mend; trigger again |
| ingest, relabel, split | labels and splits | the message names the file or line; mend it, clear the task |
| plan_parts, draw_part, augment | a dataset version | clear the task; parts that are drawn are kept |
| report | the dataset's page in MLflow | clear it; training does not wait for it |
| network.train | one trained network; pool and queue `gpu` | clear it: training goes on from its last epoch |
| measure_floor, network.evaluate | scores, plots, predictions | clear the task |
| register | a model version, the decision, the aliases | clear it: a version is made once |

Clearing is always safe: finished work is found again. If a network fails for good, the others still reach `register`.
Each run is a parent run in MLflow's experiment `affect`; `decision/decision.md` there says who became champion and why.
"""

from datetime import timedelta

from affect_notices import build_notices
from airflow.sdk import Param, dag, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException

from affect_tasks.form import build_form_fields
from affect_tasks.settings import read_settings

GPU = {"pool": "gpu", "queue": "gpu"}


def call(step: str, *arguments, **options):
    """Call a step; what only a person can mend is not tried again."""
    from affect_tasks import errors, steps

    try:
        return getattr(steps, step)(*arguments, **options, settings=read_settings())
    except (errors.InputError, errors.ParameterError, errors.SettingsError) as error:
        raise AirflowFailException(str(error)) from error


def build_task(step: str):
    """Make the task of a step, which takes the run and the keys of what came before."""

    @task(task_id=step)
    def call_step(run: str, *keys: str):
        return call(step, run, *keys)

    return call_step


@dag(
    schedule=None,
    max_active_runs=4,
    params={name: Param(**field) for name, field in build_form_fields().items()},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    on_failure_callback=build_notices(),
    doc_md=__doc__,
)
def train_affect():
    @task
    def check() -> str:
        return call("check", get_current_context()["params"], name=get_current_context()["run_id"])

    @task(map_index_template="part {{ part + 1 }}")
    def draw_part(run: str, divided: str, part: int) -> str:
        get_current_context()["part"] = part
        return call("draw_part", run, divided, part)

    @task(map_index_template="{{ network }}", **GPU)
    def train(run: str, augmented: str, network: str) -> str:
        get_current_context()["network"] = network
        return call("train", run, augmented, network)

    @task(map_index_template="{{ network }}")
    def evaluate(run: str, trained: str, network: str) -> str:
        get_current_context()["network"] = network
        return call("evaluate", run, trained)

    @task_group
    def network(run: str, augmented: str, network: str):
        return evaluate(run, train(run, augmented, network), network)

    @task(trigger_rule="all_done_min_one_success", max_active_tis_per_dag=1)
    def register(run: str, floor: str, scores: list[str] | str) -> str:
        # Airflow hands over the bare value where only one network was mapped.
        return call("register", run, floor, [scores] if isinstance(scores, str) else list(scores))

    run = check()
    divided = build_task("split")(run, build_task("relabel")(run, build_task("ingest")(run)))
    parts = draw_part.partial(run=run, divided=divided).expand(part=build_task("plan_parts")(run, divided))
    augmented = build_task("augment")(run, divided)
    parts >> augmented >> build_task("report")(run, augmented)
    scores = network.partial(run=run, augmented=augmented).expand(network=build_task("plan")(run))
    register(run, build_task("measure_floor")(run, augmented), scores)


train_affect()
