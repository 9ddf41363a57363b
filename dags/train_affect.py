"""# train_affect: from a folder of labelled images to a champion

**Trigger** it from the form; every field has a default, and `demo` as the images' folder draws faces.

| task | makes | when it fails |
|---|---|---|
| check | the run in MLflow | the message names the parameter, folder or service to mend; trigger again |
| ingest, relabel, split, augment | a dataset version | the message names the file or line; mend it, clear the task |
| floor | the score that a network must beat | clear the task |
| network.train | one trained network; pool and queue `gpu` | clear it: training goes on from its last epoch |
| network.evaluate | scores, plots, predictions | clear the task |
| register | a model version, the decision, the aliases | clear it: a version is made once |

Clearing is always safe: finished work is found again and not done twice. When a network fails for good, the
others still reach `register`. Each run is one parent run in MLflow's experiment `affect`; its artifact
`decision/decision.md` says who became champion and why.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, get_current_context, task, task_group

from affect_tasks.form import build_form_fields
from affect_tasks.settings import read_settings

GPU = {"pool": "gpu", "queue": "gpu"}


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=4,
    params={name: Param(**field) for name, field in build_form_fields().items()},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    doc_md=__doc__,
    tags=["affect"],
)
def train_affect():
    @task(retries=0)
    def check() -> str:
        from affect_tasks import steps

        context = get_current_context()
        return steps.check(context["params"], name=context["run_id"], settings=read_settings())

    @task
    def ingest(run: str) -> str:
        from affect_tasks import steps

        return steps.ingest(run, settings=read_settings())

    @task
    def relabel(run: str, ingested: str) -> str:
        from affect_tasks import steps

        return steps.relabel(run, ingested, settings=read_settings())

    @task
    def split(run: str, relabelled: str) -> str:
        from affect_tasks import steps

        return steps.split(run, relabelled, settings=read_settings())

    @task
    def augment(run: str, divided: str) -> str:
        from affect_tasks import steps

        return steps.augment(run, divided, settings=read_settings())

    @task
    def plan(run: str) -> list[str]:
        from affect_tasks import steps

        return steps.plan(run, settings=read_settings())

    @task
    def floor(run: str, augmented: str) -> str:
        from affect_tasks import steps

        return steps.measure_floor(run, augmented, settings=read_settings())

    @task(map_index_template="{{ network }}", **GPU)
    def train(run: str, augmented: str, network: str) -> str:
        from affect_tasks import steps

        get_current_context()["network"] = network
        return steps.train(run, augmented, network, settings=read_settings())

    @task(map_index_template="{{ network }}")
    def evaluate(run: str, trained: str, network: str) -> str:
        from affect_tasks import steps

        get_current_context()["network"] = network
        return steps.evaluate(run, trained, settings=read_settings())

    @task_group
    def network(run: str, augmented: str, network: str):
        return evaluate(run, train(run, augmented, network), network)

    @task(trigger_rule="all_done_min_one_success", max_active_tis_per_dag=1)
    def register(run: str, floor: str, scores: list[str] | str) -> str:
        from affect_tasks import steps

        # Airflow hands over the bare value where only one network was mapped.
        keys = [scores] if isinstance(scores, str) else list(scores)
        return steps.register(run, floor, keys, settings=read_settings())

    run = check()
    augmented = augment(run, split(run, relabel(run, ingest(run))))
    scores = network.partial(run=run, augmented=augmented).expand(network=plan(run))
    register(run, floor(run, augmented), scores)


train_affect()
