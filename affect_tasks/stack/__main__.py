"""What the Makefile's targets for the stack call: `python -m affect_tasks.stack`, then the target's name."""

import argparse
import sys
from pathlib import Path

from affect_tasks.errors import AffectError
from affect_tasks.stack.doctor import show_stack
from affect_tasks.stack.engine import COMPOSE_FILE, check_engine
from affect_tasks.stack.gpu_worker import start_gpu_worker
from affect_tasks.stack.lifecycle import check_data_has_secrets, clean_stack, open_stack, start_stack, stop_stack


def main() -> None:
    """Run one command; an error that a user can mend is one message and no traceback."""
    options = _read_options()
    try:
        check_engine()
        _run(options)
    except AffectError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. Nothing is lost; run it again to go on.")


def _run(options: argparse.Namespace) -> None:
    if options.command == "gpu-worker":
        return start_gpu_worker(options.address, options.token)
    if options.command == "up":
        check_data_has_secrets(options.project, options.secret_file)
    stack = open_stack(options.project, options.secret_file)
    if options.command == "up":
        return start_stack(stack)
    if options.command == "down":
        return stop_stack(stack)
    if options.command == "clean":
        print("This removes all runs, models and data that the stack keeps, for good.")
        return clean_stack(stack, input("Type `remove` to go on: "))
    if options.command == "doctor":
        return show_stack(stack, timing=options.timing)
    arguments = (
        ["logs", "--follow", "--tail", "100", *options.services] if options.command == "logs" else ["ps", "--all"]
    )
    sys.exit(stack.compose(*arguments).returncode)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m affect_tasks.stack", description="The stack on Docker.")
    parser.add_argument("--project", default="affect", help="compose's name for the stack")
    parser.add_argument("--secret-file", type=Path, default=COMPOSE_FILE.with_name(".env"), help="its secrets")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down", "clean", "ps"):
        commands.add_parser(name)
    commands.add_parser("logs").add_argument("services", nargs="*", help="all, where none is named")
    commands.add_parser("doctor").add_argument("--timing", action="store_true", help="memory and time too")
    worker = commands.add_parser("gpu-worker")
    worker.add_argument("--address", required=True, help="where the stack is reached from here")
    worker.add_argument("--token", type=Path, required=True, help="the stack's docker/worker.env")
    return parser.parse_args()


if __name__ == "__main__":
    main()
