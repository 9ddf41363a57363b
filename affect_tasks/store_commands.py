"""The commands for whoever runs the store: prepare it, and check that it does what the workflow needs."""

from pydantic import BaseModel

from affect_tasks.errors import StorageError
from affect_tasks.settings import read_settings


class PrepareStore(BaseModel):
    """Make the buckets and, on MinIO, the keys and policies; may be repeated."""

    def cli_cmd(self) -> None:
        from affect_tasks.store_setup import prepare_store

        for line in prepare_store(read_settings()):
            print(line)


class CheckStore(BaseModel):
    """Try what the workflow needs of the store, point by point; exit status 1 where it lacks one."""

    def cli_cmd(self) -> None:
        from affect_tasks.store_check import check_store

        settings = read_settings()
        findings = check_store(settings)
        for finding in findings:
            print(finding)
        lacking = sum(finding.fault is not None for finding in findings)
        if lacking:
            raise StorageError(
                f"A store must hold all {len(findings)} points; {settings.storage_url} lacks {lacking}. "
                "Mend what the lines above name, or set AFFECT_STORAGE_URL to another store."
            )
