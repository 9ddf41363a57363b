import shutil

import pytest


@pytest.fixture(scope="session")
def stack():
    """All services of the stack as processes here, ended after the last test."""
    from local_stack.programs import list_missing

    missing = list_missing()
    if missing:
        pytest.skip("not installed: " + "; ".join(missing.values()))
    pytest.importorskip("psycopg2", reason="`make test-services` installs it")
    from local_stack.stack import Stack, make_folder

    stack = Stack(make_folder())
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
    shutil.rmtree(stack.folder)
